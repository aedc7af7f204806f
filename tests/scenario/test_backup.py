"""Backup and restore: what was answered after the backup was taken is not answered again."""

import asyncio
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from postroom.core.agent import Answer, Turn
from postroom.core.model import MessageState
from postroom.core.submission import SubmissionStatus
from postroom.engine.compose import NewMail
from postroom.engine.restored import settle_restored
from postroom.jobs.postgresql_schema import migrate_bells
from postroom.sandbox.server import Sandbox, sandbox
from tests.support.commands import postroom
from tests.support.databases import Cluster, postgresql
from tests.support.housed import SITE, US, House, open_house, until
from tests.support.sandboxed import ADA, letter

__all__ = ["postgresql"]

BOB = "bob@example.test"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Sandbox]:
    (tmp_path / "servers").mkdir()
    async with sandbox(tmp_path / "servers") as running:
        yield running


@pytest.fixture
def databases(postgresql: Cluster) -> tuple[str, str]:
    """One with our tables, and an empty one."""
    ours = postgresql.migrated()
    asyncio.run(migrate_bells(ours))
    return ours, postgresql.empty()


async def answered(house: House, subject: str, number: int) -> None:
    """A mail from Ada that is answered to the end: she has so many answers then, and nothing is owed."""
    house.deliver(letter(US, subject, subject))
    await until(lambda: house.answers_at(ADA) == number)

    async def nothing_owed() -> bool:
        house.service.watchers.refresh(SITE)
        return {s.aftercare for s in await house.submissions()} <= {"done"}

    await until(nothing_owed)


def back_up(folder: Path, to: Path) -> None:
    """As an operator does."""
    ended = postroom(folder, "backup", str(to))
    assert (ended.returncode, ended.stderr) == (0, "")


async def test_a_restored_backup_answers_nothing_twice(tmp_path: Path, servers: Sandbox) -> None:
    async with open_house(tmp_path, servers) as house:
        await answered(house, "before", 1)
        back_up(tmp_path, tmp_path / "backup")
        await answered(house, "after, told by its flag", 2)
        await answered(house, "after, told by the reply in Sent", 3)
        inbox = house.folder("INBOX")
        inbox.flag(inbox.mails[-1], frozenset())
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "backup").rename(tmp_path / "data")
    async with open_house(tmp_path, servers) as house:
        await house.looked()
        found = {m.subject: (m.state, m.reason) for m in await house.messages(direction="in")}
        assert found == {
            "before": (MessageState.ANSWERED, ""),
            "after, told by its flag": (MessageState.NO_ANSWER, "answered_elsewhere"),
            "after, told by the reply in Sent": (MessageState.NO_ANSWER, "answered_elsewhere"),
        }
        for message in await house.messages():
            assert await house.service.blobs.get(message.raw)
        await answered(house, "new", 4)


async def test_what_was_due_in_a_backup_waits_until_sent_was_looked_at(
    tmp_path: Path, servers: Sandbox
) -> None:
    backed_up = False

    async def slow(turn: Turn) -> Answer:
        nonlocal backed_up
        if not backed_up:  # the message is due while the backup is taken, and answered a moment later
            back_up(tmp_path, tmp_path / "backup")
            backed_up = True
        return Answer("once")

    async with open_house(tmp_path, servers, slow) as house:
        await answered(house, "due then", 1)
        (message,) = await house.messages(direction="in")
        assert message.state is MessageState.ANSWERED
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "backup").rename(tmp_path / "data")
    async with open_house(tmp_path, servers, slow) as house:
        await house.looked()
        (message,) = await house.messages(direction="in")
        assert (message.state, message.reason) == (MessageState.NO_ANSWER, "answered_elsewhere")
        assert house.answers_at(ADA) == 1


async def test_what_was_on_its_way_in_a_backup_is_looked_for_instead_of_sent_again(
    tmp_path: Path, servers: Sandbox
) -> None:
    async with open_house(tmp_path, servers) as house:
        await house.rest()
        site = await house.service.accounts.get(SITE)
        composer, clock = house.service.composer, house.service.clock
        now = (await composer.queue(site, NewMail((ADA,), "Now", "x"))).submission
        later = NewMail((BOB,), "Later", "x", send_at=clock.now().replace(year=clock.now().year + 1))
        scheduled = (await composer.queue(site, later)).submission
        back_up(tmp_path, tmp_path / "backup")
        work = await house.service.store.outbox.claim(
            now.id, "test", clock.now(), clock.now().replace(year=clock.now().year + 1)
        )
        assert work is not None
        house.folder("Sent").add(await house.service.blobs.get(now.raw))  # it went out after the backup
        await house.service.store.outbox.record(
            work.claim, replace(work.submission, status=SubmissionStatus.SENT, due_at=None), []
        )
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "backup").rename(tmp_path / "data")
    async with open_house(tmp_path, servers) as house:

        async def found() -> bool:
            submission = await house.service.store.things.submission(now.id)
            return submission is not None and submission.status is SubmissionStatus.SENT

        await until(found)
        assert house.answers_at(ADA) == 0
        assert [s.id for s in await house.submissions(status="queued")] == [scheduled.id]


async def test_a_restored_postgresql_answers_nothing_twice(
    tmp_path: Path, servers: Sandbox, databases: tuple[str, str]
) -> None:
    first, second = databases
    dump = tmp_path / "postroom.dump"
    async with open_house(tmp_path, servers, url=first) as house:
        await answered(house, "before", 1)
        run_on(first, "pg_dump", "--format=custom", f"--file={dump}")
        shutil.copytree(tmp_path / "data" / "blobs", tmp_path / "blobs")
        await answered(house, "after", 2)
        inbox = house.folder("INBOX")
        inbox.flag(inbox.mails[-1], frozenset())
    run_on(second, "pg_restore", "--no-owner", str(dump))
    shutil.rmtree(tmp_path / "data" / "blobs")
    (tmp_path / "blobs").rename(tmp_path / "data" / "blobs")
    async with open_house(tmp_path, servers, url=second) as house:
        await settle_restored(house.service.store.restoring, house.service.clock)
        await house.looked()
        found = {m.subject: (m.state, m.reason) for m in await house.messages(direction="in")}
        assert found == {
            "before": (MessageState.ANSWERED, ""),
            "after": (MessageState.NO_ANSWER, "answered_elsewhere"),
        }
        assert house.answers_at(ADA) == 2


def run_on(url: str, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL's on a database."""
    parts = urlsplit(url)
    host = parse_qs(parts.query)["host"][0]
    where = [f"--host={host}", "--username=postgres", f"--dbname={parts.path[1:]}"]
    binary = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))[-1]
    subprocess.run([str(binary), *where, *arguments], check=True, capture_output=True)


# --- the command


def test_a_backup_refuses_what_is_there_and_leaves_nothing_half(tmp_path: Path) -> None:
    assert postroom(tmp_path, "migrate").returncode == 0
    assert postroom(tmp_path, "keys", "create").returncode == 0
    back_up(tmp_path, tmp_path / "copy")
    again = postroom(tmp_path, "backup", str(tmp_path / "copy"))
    assert (again.returncode, again.stdout) == (1, "")
    assert "is there already" in again.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "data"]
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    key = (tmp_path / "data" / "secret-key").read_text()
    assert (tmp_path / "copy" / "secret-key").read_text() == key
    with closing(sqlite3.connect(tmp_path / "copy" / "postroom.db")) as copy:
        assert copy.execute("SELECT count(*) FROM keys").fetchone() == (1,)


def test_a_backup_of_another_database_says_what_to_use(tmp_path: Path) -> None:
    variables = {"POSTROOM_DATABASE_URL": "postgresql://localhost/x", "POSTROOM_SECRET_KEY": "A" * 43 + "="}
    refused = postroom(tmp_path, "backup", "copy", variables=variables)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "pg_dump" in refused.stderr
