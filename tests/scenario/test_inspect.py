"""`postroom inspect` as a process of its own: no server, no database, no settings."""

import json
import os
import subprocess
import sys
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support.served import clean_environment

MAILS = Path(__file__).parents[1] / "corpus" / "inspect"
PLAIN = b"From: Ida <ida@example.org>\nTo: shop@example.net\nSubject: Hi\n\nWhen do you open?\n"
FIELDS = {
    "file", "message_id", "in_reply_to", "references", "subject", "from", "to", "cc", "date", "text",
    "new_text", "quoted", "signature", "html", "attachments", "automatic", "report", "trust", "thread_key",
    "calendar", "quarantined", "notes",
}  # fmt: skip
NOBODY_SAYS_SO = {"is": False, "kind": None, "reason": None}


def run(*arguments: str, folder: Path = MAILS, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "postroom", "inspect", *arguments]
    environment = clean_environment({})
    return subprocess.run(
        command, cwd=folder, env=environment, input=stdin, capture_output=True, timeout=60, check=False
    )


def records(*arguments: str, folder: Path = MAILS, stdin: bytes = b"") -> list[dict[str, Any]]:
    done = run("--json", *arguments, folder=folder, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def explained(*arguments: str, folder: Path = MAILS) -> str:
    done = run(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.decode("utf-8").split())


@pytest.fixture(scope="module")
def corpus() -> dict[str, dict[str, Any]]:
    """The record of each of our mails, by its name."""
    return {record["file"].rpartition("/")[2]: record for record in records(".")}


def written(folder: Path, name: str, content: bytes = PLAIN) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# which files


def test_every_regular_file_below_a_folder_is_read_in_order(tmp_path: Path) -> None:
    names = ["b.eml", "a/z", "a/deep/er/c.txt", ".hidden", "a.eml", "ü ö.eml"]
    for name in names:
        written(tmp_path, f"mails/{name}")
    os.mkfifo(tmp_path / "mails" / "pipe")
    found = [record["file"] for record in records("mails", folder=tmp_path)]
    assert found == [
        f"mails/{name}" for name in (".hidden", "a/deep/er/c.txt", "a/z", "a.eml", "b.eml", "ü ö.eml")
    ]


def test_paths_are_named_as_they_were_given(tmp_path: Path) -> None:
    written(tmp_path, "mails/one.eml")
    given = ["./mails/one.eml", "mails/../mails/one.eml", str(tmp_path / "mails" / "one.eml")]
    assert [record["file"] for record in records(*given, folder=tmp_path)] == given
    assert [record["file"] for record in records("./mails/", folder=tmp_path)] == ["./mails/one.eml"]


def test_what_cannot_be_read_gets_a_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    written(tmp_path, "good.eml")
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    missing, link, pipe, good = records("missing.eml", "mails", "pipe", "good.eml", folder=tmp_path)
    assert missing == {"file": "missing.eml", "error": "No such file or directory"}
    assert link == {"file": "mails/nowhere", "error": "No such file or directory"}
    assert pipe == {"file": "pipe", "error": "Not a regular file"}
    assert good["text"].strip() == "When do you open?"


def test_a_person_is_told_what_cannot_be_read(tmp_path: Path) -> None:
    assert "missing.eml ─" in explained("missing.eml", folder=tmp_path)
    assert "cannot be read: No such file" in explained("missing.eml", folder=tmp_path)


def test_a_mail_comes_by_standard_input() -> None:
    [record] = records("-", stdin=PLAIN)
    assert (record["file"], record["subject"]) == ("-", "Hi")


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.eml")).write_bytes(PLAIN)
    [record] = records(".", folder=tmp_path)
    assert record["file"].startswith("./caf")
    assert record["subject"] == "Hi"


def test_misspelt_use_is_refused(tmp_path: Path) -> None:
    for arguments in ((), ("--jsonn", "x"), ("--account", "two@example.net words", "x")):
        done = run(*arguments, folder=tmp_path)
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr


def test_an_empty_folder_gives_nothing(tmp_path: Path) -> None:
    assert records(".", folder=tmp_path) == []


# the fields


def test_every_line_has_exactly_the_promised_fields(corpus: dict[str, dict[str, Any]]) -> None:
    assert len(corpus) >= 10
    for record in corpus.values():
        assert set(record) == FIELDS


def test_a_reply_is_taken_apart(corpus: dict[str, dict[str, Any]]) -> None:
    record = corpus["reply.eml"]
    assert record["from"] == {"name": "Jörg Müller", "address": "joerg@example.org"}
    assert record["to"] == [
        {"name": "Shop, the", "address": "shop@example.net"},
        {"name": "Kim", "address": "kim@example.net"},
    ]
    assert record["cc"] == [{"name": "André", "address": "andre@example.org"}]
    assert record["subject"] == "Re: Lieferung ✓"
    assert datetime.fromisoformat(record["date"]) == datetime.fromisoformat("2025-03-04T10:15:00+01:00")
    assert record["message_id"] == "Reply.4711@Example.ORG"
    assert record["in_reply_to"] == ["offer.2@example.net"]
    assert record["references"] == ["question.1@example.org", "offer.2@example.net"]
    assert record["thread_key"] == "question.1@example.org"
    assert record["new_text"].startswith("Ja, bitte zwei Stück.")
    assert "Wie viele Tassen" not in record["new_text"]
    assert record["signature"] == "Gesendet von meinem iPhone"
    assert "Wie viele Tassen" in record["quoted"]
    assert "Ja, bitte" in record["text"]
    assert "Wie viele Tassen" in record["text"]
    assert record["html"] is None
    assert record["automatic"] == NOBODY_SAYS_SO
    assert (record["report"], record["calendar"], record["quarantined"]) == (None, None, None)
    assert record["attachments"] == []


def test_files_have_digests_of_their_decoded_bytes(corpus: dict[str, dict[str, Any]]) -> None:
    record = corpus["files.eml"]
    picture, prices = record["attachments"]
    gif = b"GIF89a\x01\x00\x01\x00\x00\x00\x00,"
    assert picture == {
        "filename": "cup.gif",
        "content_type": "image/gif",
        "disposition": "inline",
        "content_id": "cup@example.org",
        "size": len(gif),
        "sha256": sha256(gif).hexdigest(),
    }
    assert prices["filename"] == "Preisliste März.csv"
    assert (prices["disposition"], prices["content_id"]) == ("attachment", None)
    assert prices["sha256"] == sha256(b"cup,2").hexdigest()
    assert "<b>cup</b>" in record["html"]
    assert "**cup**" in record["text"]
    assert record["date"] == "2025-03-04T12:00:00Z"


def test_a_report_tells_recipients_and_what_it_returns(corpus: dict[str, dict[str, Any]]) -> None:
    record = corpus["bounce.eml"]
    assert record["automatic"] == {"is": True, "kind": "report", "reason": "multipart_report"}
    assert record["report"] == {
        "recipients": [
            {"address": "gone@example.org", "action": "failed", "status": "5.1.1", "temporary": False},
            {"address": "full@example.org", "action": "delayed", "status": "4.2.2", "temporary": True},
        ],
        "returned_message_id": "p.order.7@example.net",
    }


def test_an_automatic_reply_is_no_report(corpus: dict[str, dict[str, Any]]) -> None:
    record = corpus["vacation.eml"]
    assert record["automatic"] == {"is": True, "kind": "vacation", "reason": "auto_submitted"}
    assert record["report"] is None


def test_an_invitation_is_recognised(corpus: dict[str, dict[str, Any]]) -> None:
    record = corpus["invitation.eml"]
    assert record["calendar"] == {
        "method": "REQUEST",
        "summary": "Tasting",
        "start": "20250410T090000Z",
        "end": "20250410T100000Z",
    }
    assert record["thread_key"] == "email:ida@example.org"
    assert record["message_id"] == ""


def test_d5_without_one_certain_author_nobody_wrote_it(corpus: dict[str, dict[str, Any]]) -> None:
    record = corpus["two-authors.eml"]
    assert record["from"] is None
    assert record["trust"] == "unknown"
    assert record["date"] is None


def test_d5_trust_needs_to_be_told_whom_to_believe(corpus: dict[str, dict[str, Any]]) -> None:
    assert corpus["vouched.eml"]["trust"] == corpus["forged.eml"]["trust"] == "claimed"
    told = records("letters/vouched.eml", "letters/forged.eml", "--authserv-id", "mx.example.net")
    assert [(record["trust"], record["quarantined"]) for record in told] == [
        ("verified", None),
        ("failed", "authentication_failed"),
    ]


def test_d5_the_servers_of_a_known_provider_are_believed(tmp_path: Path) -> None:
    vouched = b"Authentication-Results: mx.google.com; dmarc=pass header.from=example.org\n" + PLAIN
    written(tmp_path, "mail.eml", vouched)
    [record] = records("mail.eml", "--account", "shop@gmail.com", folder=tmp_path)
    assert record["trust"] == "verified"


def test_d7_what_the_account_wrote_itself_is_automatic() -> None:
    record, other = records(
        "letters/vouched.eml", "reply.eml", "--account", "agent@x.test", "--account", "IDA@example.org"
    )
    assert record["automatic"] == {"is": True, "kind": "automatic", "reason": "own_address"}
    assert other["automatic"] == NOBODY_SAYS_SO


def test_a_mail_over_the_caps_is_quarantined_with_its_envelope(tmp_path: Path) -> None:
    depth = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(150))
    written(tmp_path, "deep.eml", b"From: Ida <ida@example.org>\nSubject: Deep\n" + depth)
    [record] = records("deep.eml", folder=tmp_path)
    assert record["quarantined"] == "over_caps_too_deep"
    assert (record["subject"], record["from"]["address"], record["text"]) == ("Deep", "ida@example.org", "")


def test_a_line_is_one_line_whatever_the_mail_holds(corpus: dict[str, dict[str, Any]]) -> None:
    done = run("--json", "letters/control.eml")
    assert len(done.stdout.decode("utf-8").splitlines()) == 1
    assert "One\u2028two" in corpus["control.eml"]["text"]


BROKEN = {
    "empty": b"",
    "line-end": b"\n",
    "zeros": b"\0" * 1000,
    "no-text": b"\xff\xfe\xfd",
    "mbox-line-alone": b"From \n",
    "surrogates": b"From: \xed\xa0\x80\n\n\xed\xa0\x80\r\r",
    "one-long-line": b"a" * 300_000,
}


def test_bytes_that_are_no_mail_give_a_record_all_the_same(tmp_path: Path) -> None:
    for name, content in BROKEN.items():
        written(tmp_path, name, content)
    found = records(".", folder=tmp_path)
    assert {record["file"].removeprefix("./") for record in found} == set(BROKEN)
    for record in found:
        assert set(record) == FIELDS
        json.dumps(record, ensure_ascii=False).encode("utf-8")


# the explanation


def test_a_person_is_told_why() -> None:
    shown = explained("reply.eml", "letters")
    assert "reply.eml ─" in shown
    assert "would be answered: a person seems to have written it" in shown
    assert "would not be answered: it is a delivery report (report, multipart_report)" in shown
    assert "would not be answered: it is an automatic reply" in shown
    assert "would not be answered: nobody can be told to have written it" in shown


@pytest.mark.parametrize(
    ("accounts", "why"),
    [
        (["shop@example.net"], "would be answered"),
        (["other@example.net"], "would not be answered: none of the account's addresses"),
        (["other@example.net", "KIM@example.net"], "would be answered"),
        (["joerg@example.org"], "would not be answered: it comes from the account's own address"),
    ],
)
def test_a_person_is_told_why_from_the_accounts_point_of_view(accounts: list[str], why: str) -> None:
    assert why in explained("reply.eml", *(option for one in accounts for option in ("--account", one)))


def test_forged_mail_is_said_to_be_quarantined() -> None:
    shown = explained("letters/forged.eml", "--authserv-id", "mx.example.net")
    assert "would be quarantined: the sender is probably forged" in shown


def test_a_person_sees_what_is_new_and_what_is_quoted() -> None:
    shown = explained("reply.eml")
    new, quoted = shown.index("Ja, bitte zwei Stück."), shown.index("Wie viele Tassen")
    assert new < shown.index(" quoted ") < quoted
    assert "Jörg Müller <joerg@example.org>" in shown


def test_a_mail_cannot_speak_to_the_terminal() -> None:
    done = run("letters/control.eml")
    assert b"\x1b" not in done.stdout
    assert b"[31mred" in done.stdout
    assert b"[bold]four[/bold]" in done.stdout


def test_a_reader_that_stops_early_ends_it_quietly(tmp_path: Path) -> None:
    for number in range(200):
        written(tmp_path, f"{number}.eml", PLAIN + b"word " * 2_000)
    command = f"{sys.executable} -m postroom inspect --json . | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=clean_environment({}),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
