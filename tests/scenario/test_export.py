"""`postroom export`: everything of a site as mbox and JSON lines, whole or not at all, without secrets."""

import json
import mailbox
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.export import made_whole
from postroom.core.errors import Conflict
from postroom.mail import mbox
from tests.support.commands import postroom
from tests.support.office import SITE, US, mail, open_office
from tests.support.stored import NOW

SECRET = "canary-of-a-password"
HOSTILE = (
    b"From: a@example.test\r\nSubject: x\r\nMessage-ID: <mbox@example.test>\r\n\r\n"
    b"From here\r\n>From there\r\n>>From >\r\nNo From\r\n"
)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Where a service ran: three mails in, one answered, one of which looks like an mbox."""
    async with open_office(tmp_path) as office:
        await office.service.accounts.seal(SITE, "email", US, SECRET, store=True, may_create=True)
        await office.work(await office.arrive(mail(text="Grüße", subject="Prices")))
        await office.arrive(HOSTILE)
        await office.arrive(mail(Precedence="bulk").as_bytes().rstrip(b"\n"))
    return tmp_path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def unquoted(box: mailbox.mbox) -> Iterator[bytes]:
    """The messages as they were before they were put into the mbox."""
    for key in box.keys():  # noqa: SIM118 - a mailbox is no mapping
        yield re.sub(rb"^>(>*From )", rb"\1", box.get_bytes(key), flags=re.MULTILINE)


def test_an_export_holds_everything_of_a_site_and_no_secret(folder: Path) -> None:
    ended = postroom(folder, "export", SITE, "--to", "out/acme")
    assert (ended.returncode, ended.stderr) == (0, "")
    out = folder / "out" / "acme"
    assert str(out) in ended.stdout
    assert "4 messages" in ended.stdout
    messages = lines(out / "messages.jsonl")
    assert [m["direction"] for m in messages] == ["in", "out", "in", "in"]
    assert [m["subject"] for m in messages][:2] == ["Prices", "Re: Prices"]
    assert {m["thread_id"] for m in messages} == {t["id"] for t in lines(out / "threads.jsonl")}
    (submission,) = lines(out / "submissions.jsonl")
    assert submission["answers"] == messages[0]["id"]
    events = lines(out / "events.jsonl")
    assert "message.received" in {e["type"] for e in events}
    assert [e["at"] for e in events] == sorted(e["at"] for e in events)
    assert json.loads((out / "site.json").read_text())["settings"]["channels"]["email"]["email"] == US
    assert out.stat().st_mode & 0o077 == 0
    for path in out.iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_the_mbox_gives_the_exact_bytes_back(folder: Path) -> None:
    assert postroom(folder, "export", SITE).returncode == 0
    box = mailbox.mbox(folder / f"{SITE}-export" / "mail.mbox", create=False)
    found = list(unquoted(box))
    box.close()
    sizes = [m["size"] for m in lines(folder / f"{SITE}-export" / "messages.jsonl")]
    assert HOSTILE in found
    assert [len(raw) for raw in found[:3]] == sizes[:3]
    assert len(found[3].rstrip(b"\n")) == sizes[3]


def test_an_export_touches_nothing_that_is_there(folder: Path) -> None:
    there = folder / "there"
    there.mkdir()
    (there / "mine").write_text("x")
    refused = postroom(folder, "export", SITE, "--to", str(there))
    assert (refused.returncode, refused.stdout) == (1, "")
    [line] = refused.stderr.splitlines()
    assert "is there already" in line
    assert [path.name for path in there.iterdir()] == ["mine"]
    assert postroom(folder, "export", "nosuch").stderr == "there is no such site\n"
    assert sorted(path.name for path in folder.iterdir()) == ["data", "there"]


def test_an_export_that_lacks_bytes_says_so(folder: Path) -> None:
    for path in (folder / "data" / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    ended = postroom(folder, "export", SITE, "--json")
    assert json.loads(ended.stdout)["without_bytes"] == 4
    assert (folder / f"{SITE}-export" / "mail.mbox").read_bytes() == b""


def test_a_directory_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError), made_whole(tmp_path / "out") as draft:  # noqa: PT012 - the block is the test
        (draft / "half").write_text("x")
        raise ValueError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Conflict), made_whole(tmp_path / "out"):
        (tmp_path / "out").mkdir()  # another is faster
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("sender", ["", "a b@c", "a\n@b", "ä@example.test"])
def test_a_senders_address_cannot_break_the_beginning(sender: str) -> None:
    entry = mbox.entry(b"Subject: x\n\ny", sender, NOW)
    assert entry.splitlines()[0] == b"From - Mon Mar 02 09:00:00 2026"
