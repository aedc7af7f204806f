"""Retention: what is old goes, with its bytes, and never comes back as new."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from postroom.core.agent import Answer, Turn
from postroom.core.model import MessageState
from postroom.engine.retention import JUST_PUT, Retention
from postroom.sandbox.server import Sandbox, sandbox
from tests.support.commands import program
from tests.support.housed import US, House, open_house, until
from tests.support.office import Office, mail, open_office
from tests.support.sandboxed import ADA, letter

DAY = timedelta(days=1)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        yield opened


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Sandbox]:
    (tmp_path / "servers").mkdir()
    async with sandbox(tmp_path / "servers") as running:
        yield running


async def look(office: Office) -> None:
    """One look of retention's, its pauses and the time between two looks included."""
    looking = asyncio.create_task(office.service.retention.look())
    await over(office, looking)
    await office.clock.advance(timedelta(minutes=10).total_seconds())


async def over(office: Office, looking: "asyncio.Task[None]") -> None:
    """Wait until a look is over; the clock goes on for its pauses alone."""
    while not looking.done():
        await until(lambda: looking.done() or office.clock.sleepers)
        if office.clock.sleepers:
            await office.clock.advance(0.1)
    await looking


def blobs(office: Office) -> int:
    """How many blobs there are on disk."""
    folder = office.service.settings.data_dir / "blobs"
    return sum(path.is_file() for path in folder.rglob("*"))


async def test_retention_deletes_messages_and_their_bytes_when_their_time_is_over(office: Office) -> None:
    await office.set(retention={"days": 7})
    robot = await office.arrive(mail(Precedence="bulk"))
    held = await office.arrive(mail(), received_at=office.clock.now() - 4 * DAY)
    assert held.message.state is MessageState.HELD
    due = await office.arrive(mail())
    assert blobs(office) == 3
    await office.clock.advance((3 * DAY).total_seconds() + 60)
    await look(office)
    things = office.service.store.things
    assert await things.message(held.message.id) is None
    assert await things.message(robot.message.id) is not None
    await office.clock.advance((5 * DAY).total_seconds())
    await look(office)
    assert await things.message(robot.message.id) is None
    assert await things.message(due.message.id) is not None
    assert blobs(office) == 1


async def test_without_retention_nothing_is_deleted(office: Office) -> None:
    robot = await office.arrive(mail(Precedence="bulk"))
    await office.clock.advance((4000 * DAY).total_seconds())
    await look(office)
    assert await office.message(robot.message.id)
    assert blobs(office) == 1


async def test_d3_a_reply_to_a_forgotten_conversation_begins_a_new_one(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    async def note(turn: Turn) -> Answer:
        seen.append((turn.message.text.strip(), len(turn.history)))
        return Answer("ok")

    async with open_office(tmp_path, note, retention={"days": 1}) as office:
        first = await office.arrive(mail(text="secret plan", message_id="<first@example.test>"))
        await office.work(first)
        submission = (await office.service.store.lists.submissions("office", {}, None, 9)).items[0]
        await office.service.store.outbox.cancel(submission.id, office.clock.now())
        await office.clock.advance((2 * DAY).total_seconds())
        await look(office)
        assert await office.service.store.things.thread(first.message.thread_id) is None
        cited = f"<first@example.test> <{submission.message_id}>"
        reply = await office.arrive(mail(text="and now?", References=cited, In_Reply_To=cited.split()[1]))
        found = await office.work(reply)
        assert found.state is MessageState.ANSWERED
        assert found.thread_id != first.message.thread_id
        thread = await office.service.store.things.thread(found.thread_id)
        assert thread is not None
        assert thread.thread_key == "first@example.test"
        assert seen == [("secret plan", 0), ("and now?", 0)]


async def test_an_interrupted_look_goes_on_with_the_next(office: Office) -> None:
    await office.set(retention={"days": 1})
    for number in range(250):
        await office.arrive(mail(f"a{number}@example.test", Precedence="bulk"))
    await office.clock.advance((2 * DAY).total_seconds())
    looking = asyncio.create_task(office.service.retention.forget())
    await until(lambda: office.clock.sleepers)  # in its first pause
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    left = (await office.service.store.lists.counts()).get("messages.no_answer", 0)
    assert left == 250  # records first
    await look(office)
    assert "messages.no_answer" not in await office.service.store.lists.counts()
    assert blobs(office) == 0


async def test_two_workers_take_turns(office: Office) -> None:
    await office.set(retention={"days": 1})
    service = office.service
    other = Retention(service.store.sites, service.store.upkeep, service.blobs, office.clock, _NoSteps())
    await look(office)
    taken = await office.arrive(mail(Precedence="bulk"), received_at=office.clock.now() - 2 * DAY)
    mine = asyncio.create_task(service.retention.look())
    await until(lambda: office.clock.sleepers or mine.done())
    await asyncio.wait_for(other.look(), 5)  # without a pause: there was nothing for it to do
    await over(office, mine)
    assert await service.store.things.message(taken.message.id) is None


class _NoSteps:
    def reached(self, step: str) -> None:
        """Nothing."""


# --- blobs that nobody refers to


async def test_a_blob_without_a_message_is_swept_after_a_day_and_no_sooner(office: Office) -> None:
    kept = await office.arrive(mail())
    orphan = await office.service.blobs.put(b"a crash came before the row")
    await office.clock.advance((DAY * 0.9).total_seconds())
    await look(office)
    assert await office.service.blobs.get(orphan)
    await office.clock.advance((DAY * 1.1).total_seconds())
    await look(office)
    assert blobs(office) == 1
    assert await office.service.blobs.get(kept.message.raw)


async def test_an_old_blob_that_is_put_again_is_not_swept(office: Office) -> None:
    orphan = await office.service.blobs.put(b"left by a crash")
    await office.clock.advance((DAY * 3).total_seconds())
    assert await office.service.blobs.put(b"left by a crash") == orphan  # the intake after the crash
    await look(office)
    assert await office.service.blobs.get(orphan) == b"left by a crash"


async def test_bytes_that_are_put_again_while_their_message_goes_are_kept(office: Office) -> None:
    await office.set(retention={"days": 1})
    old = mail(Precedence="bulk").as_bytes()
    await office.arrive(old)
    await office.clock.advance((DAY * 2).total_seconds())
    digest = await office.service.blobs.put(old)  # an intake is about to write its row
    await look(office)
    assert await office.service.blobs.get(digest) == old
    await office.clock.advance(JUST_PUT.total_seconds())
    await look(office)
    assert blobs(office) == 0


@pytest.mark.parametrize(
    ("step", "stored"),
    [("ingest:read", 0), ("before-commit:intake", 0), ("commit:intake", 1)],
)
async def test_a_crash_leaves_no_message_without_its_bytes(tmp_path: Path, step: str, stored: int) -> None:
    died = program(tmp_path, "-m", "tests.support.dying_intake", str(tmp_path), step)
    assert died.returncode == -signal.SIGKILL
    async with open_office(tmp_path) as office:
        messages = (await office.service.store.lists.messages("office", {}, None, 9)).items
        assert len(messages) == stored
        for message in messages:
            assert await office.service.blobs.get(message.raw)
        assert blobs(office) == 1
        await office.clock.advance((2 * DAY).total_seconds())
        await look(office)
        assert blobs(office) == stored


# --- a mailbox that still holds what was forgotten


@asynccontextmanager
async def forgetful(tmp_path: Path, servers: Sandbox) -> AsyncIterator[House]:
    """A site that answered a mail of two days ago and has forgotten it since."""
    async with open_house(
        tmp_path, servers, start="2020-01-01", answerWithinHours=None, watch=["INBOX"]
    ) as house:
        stored = house.deliver(letter(US, "Old", "answered once"), days_ago=2)
        await until(lambda: house.answers_at(ADA) == 1)
        await until(lambda: "\\Answered" in stored.flags)
        house.folder("INBOX").flag(stored, frozenset())  # not every server keeps it
        await house.set(retention={"days": 1})
        await house.service.retention.forget()
        assert await house.messages(direction="in") == ()
        yield house


async def renumber(house: House) -> None:
    """The server gives its mailbox new numbers, as a restored one does; we connect again and see."""
    inbox = house.folder("INBOX")
    inbox.uidvalidity += 1
    for uid, stored in enumerate(inbox.mails, 1):
        stored.uid = uid
    inbox.uidnext = len(inbox.mails) + 1
    await house.set(signature=f"{inbox.uidvalidity}")
    store = house.service.store

    async def seen() -> bool:
        cursor = await store.intake.cursor("house", "INBOX")
        return cursor is not None and (cursor.uidvalidity, cursor.next_uid) == (
            inbox.uidvalidity,
            inbox.uidnext,
        )

    await until(seen)


async def connect_anew(house: House) -> None:
    """The account is configured again, and everything unread is asked for."""
    await house.set(start="unseen")
    site = await house.service.accounts.get("house")
    now = house.service.clock.now()
    await house.service.store.sites.save(
        replace(site, account_since=now, version=site.version + 1, updated_at=now)
    )


async def test_b7_forgotten_mail_is_not_answered_again_whatever_the_server_does(
    tmp_path: Path, servers: Sandbox
) -> None:
    async with forgetful(tmp_path, servers) as house:
        await house.looked()  # the window below our place
        assert await house.messages(direction="in") == ()
        await renumber(house)
        (again,) = await house.messages(direction="in")
        assert (again.state, again.reason) == (MessageState.NO_ANSWER, "history")
        await house.set(retention=None)  # what was forgotten stays forgotten
        await house.service.store.upkeep.forget("house", again.received_at + DAY, 0)
        await renumber(house)
        await connect_anew(house)
        await house.looked()
        house.deliver(letter(US, "New", "to be answered"))
        await until(lambda: house.answers_at(ADA) == 2)
        assert {m.reason for m in await house.messages(state="no_answer")} <= {"history"}


async def test_b7_the_window_below_our_place_holds_what_was_forgotten(
    tmp_path: Path, servers: Sandbox
) -> None:
    async with forgetful(tmp_path, servers) as house:
        cursor = await house.service.store.intake.cursor("house", "INBOX")
        assert cursor is not None
        assert await house.service.store.intake.taken("house", "INBOX", cursor.uidvalidity, 1) == {1}
