"""Backfill on request: history stored and threaded, waking nobody, each body fetched once."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from postroom.core.agent import Answer, Turn
from postroom.core.errors import Conflict, MailServerError, NotFound
from postroom.core.providers import Provider
from postroom.imap.wire import ClientCommand
from tests.scenario.watch.backfilling import FEW_DAYS, SITE, Ends, EndsAt, House
from tests.scenario.watch.postbox import Postbox, Session
from tests.scenario.watch.rig import SwiftClock, address_of, letter, open_rig, until
from tests.support.certificates import CertificateAuthority
from tests.support.clock import TestClock

ANN = "ann@example.org"


@pytest.fixture
async def house(tmp_path: Path, authority: CertificateAuthority, box: Postbox) -> AsyncIterator[House]:
    """Time runs a hundred times faster; nobody has watched yet."""
    asked: list[str] = []

    async def agent(turn: Turn) -> Answer:
        asked.append(turn.message.subject)
        return Answer(f"{len(turn.history)} before")

    async with open_rig(tmp_path, authority, clock=SwiftClock(), agent=agent, poll=10.0) as rig:
        made = House(rig, box, authority, tmp_path)
        made.asked = asked
        yield made


def fetched(box: Postbox) -> set[int]:
    """How often bodies were fetched, of those that were."""
    return set(box.counts.bodies.values())


async def test_history_is_stored_in_its_conversations_and_wakes_nobody(house: House, box: Postbox) -> None:
    us, sent = address_of(SITE), box.folders["Sent"]
    ours = {"sender": us, "To": ANN}
    house.add(letter(SITE, sender=ANN, Message_ID="<q1@x>", Subject="Price?"), 70)
    house.add(letter(SITE, Message_ID="<a1@x>", References="<q1@x>", In_Reply_To="<q1@x>", **ours), 69, sent)
    house.add(letter(SITE, Message_ID="<s1@x>", Subject="Offer", **ours), 61, sent)
    house.add(letter(SITE, sender=ANN, Message_ID="<r1@x>", References="<s1@x>", In_Reply_To="<s1@x>"), 60.9)
    house.add(letter(SITE, sender=ANN, Message_ID="<q2@x>", References="<q1@x> <a1@x>"), 60)
    house.add(letter(SITE, sender=ANN, Subject="Too old"), 120)
    await house.watched()
    ended = await house.backfill()
    assert (ended.state, ended.found, ended.known, ended.read) == ("done", 5, 0, 5)
    by_id = {message.message_id: message for message in await house.stored()}
    assert set(by_id) == {"q1@x", "a1@x", "s1@x", "r1@x", "q2@x"}
    assert by_id["q1@x"].thread_id == by_id["a1@x"].thread_id == by_id["q2@x"].thread_id
    assert by_id["s1@x"].thread_id == by_id["r1@x"].thread_id != by_id["q1@x"].thread_id
    assert await house.rig.states(SITE) == {"no_answer:history": 3, "sent": 2}
    assert fetched(box) == {1}
    assert (box.counts.most_open, box.counts.flags) == (2, set())
    box.deliver(
        letter(SITE, sender=ANN, References="<q1@x> <a1@x>", Subject="And now?"),
        received_at=house.rig.clock.now(),
    )
    await house.rig.sent(1)
    assert house.asked == ["And now?"]
    assert b"3 before" in house.rig.sink.messages[0].data


@pytest.mark.parametrize("batches", [1, 2])
async def test_an_end_in_the_middle_costs_nothing_that_was_stored(
    house: House, box: Postbox, batches: int
) -> None:
    house.history(120)
    await house.watched()
    with pytest.raises(Ends):
        await house.backfill(EndsAt("backfill:stored", batches))
    assert len(await house.stored()) == 50 * batches
    ended = await house.backfill()
    assert (ended.known, ended.read) == (50 * batches, 120 - 50 * batches)
    assert await house.rig.states(SITE) == {"no_answer:history": 120}
    assert (fetched(box), len(box.counts.bodies)) == ({1}, 120)
    again = await house.backfill()
    assert (again.known, again.read) == (120, 0)
    assert (fetched(box), house.asked) == ({1}, [])


async def test_an_end_before_a_batch_is_stored_costs_that_batch_alone(house: House, box: Postbox) -> None:
    house.history(120)
    await house.watched()
    with pytest.raises(Ends):
        await house.backfill(EndsAt("backfill:fetched", 2))
    await house.backfill()
    assert len(await house.stored()) == len(box.counts.bodies) == 120
    assert sum(count == 2 for count in box.counts.bodies.values()) == 50
    assert max(box.counts.bodies.values()) == 2


async def test_new_mail_is_answered_meanwhile(house: House, box: Postbox) -> None:
    house.history(120)
    await house.watched()
    running = asyncio.ensure_future(house.backfill())
    for number in range(3):
        await house.told_more()
        box.deliver(letter(SITE, Subject=f"New {number}"), received_at=house.rig.clock.now())
    await house.rig.sent(3)
    await running
    assert sorted(house.asked) == ["New 0", "New 1", "New 2"]
    states = await house.rig.states(SITE)
    assert states == {"no_answer:history": 120, "answered": 3, "sent": 3}
    assert {count for (name, _), count in box.counts.bodies.items() if name == "INBOX"} == {1}
    assert box.counts.most_open == 2


async def test_mail_that_the_service_has_not_seen_yet_is_left_to_it(
    tmp_path: Path, authority: CertificateAuthority, box: Postbox
) -> None:
    async with open_rig(tmp_path, authority, poll=3600) as rig:
        house = House(rig, box, authority, tmp_path)
        house.history(3)
        await house.watched()
        box.announces = False
        box.deliver(letter(SITE), received_at=rig.clock.now() + timedelta(seconds=1))
        await house.backfill()
        assert await rig.states(SITE) == {"no_answer:history": 3}
        rig.watchers.refresh(SITE)
        await rig.sent(1)


async def test_a_server_that_asks_to_wait_is_obeyed(house: House, box: Postbox) -> None:
    house.history(60)
    await house.watched()
    asks = 0

    async def throttled(session: Session, command: ClientCommand) -> bool:
        nonlocal asks
        if b"BODY.PEEK[]" not in command.line or asks:
            return False
        asks += 1
        await session.end(command, "NO Request is throttled. Suggested Backoff Time: 200000 milliseconds")
        return True

    box.on["UID FETCH"] = throttled
    begun = house.rig.clock.now()
    assert (await house.backfill()).read == 60
    waits = {(told.reason, told.until) for told in house.told if told.state == "waiting"}
    ((reason, until_when),) = waits
    assert reason == "throttled"
    assert until_when is not None
    assert until_when - begun >= timedelta(seconds=200)
    assert house.rig.clock.now() >= until_when
    assert fetched(box) == {1}


async def test_a_refused_login_is_not_tried_again(house: House, box: Postbox) -> None:
    await house.watched()
    await house.rig.rest()  # under load the watcher connects again, too
    logins = box.counts.logins

    async def refused(session: Session, command: ClientCommand) -> bool:
        box.counts.logins += 1
        await session.end(command, "NO [AUTHENTICATIONFAILED] no")
        return True

    box.on["LOGIN"] = box.on["AUTHENTICATE"] = refused
    with pytest.raises(MailServerError) as raised:
        await house.backfill()
    assert raised.value.code == "auth_failed"
    assert box.counts.logins == logins + 1


async def test_a_connection_that_breaks_off_is_made_anew(house: House, box: Postbox) -> None:
    house.history(120)
    await house.watched()
    fetches = 0

    async def breaks_off(session: Session, command: ClientCommand) -> bool:
        nonlocal fetches
        fetches += b"BODY.PEEK[]" in command.line
        if fetches == 2:
            fetches += 1
            session.peer.writer.close()
            return True
        return False

    box.on["UID FETCH"] = breaks_off
    ended = await house.backfill()
    assert (ended.state, ended.found, ended.known, ended.read) == ("done", 120, 0, 120)
    assert fetched(box) == {1}


async def test_no_more_a_day_than_our_share_of_what_the_provider_allows(house: House, box: Postbox) -> None:
    house.history(120)
    await house.watched()
    octets = sum(len(mail.raw) for mail in box.inbox.mails)
    clock = TestClock(house.rig.clock.now())
    # Half of it is enough for 60 of them, which is one batch of 50.
    provider = Provider(daily_download=octets)
    parts = replace(house.parts(), clock=clock, provider=lambda host: provider)
    running = asyncio.ensure_future(parts.run(SITE, FEW_DAYS, house.told.append))
    for day in range(1, 3):
        await _advance_until_waiting(house, clock, day)
        assert len(await house.stored()) == day * 50
        waits = house.told[-1].until
        assert waits is not None
        assert timedelta(hours=23) < waits - clock.now() <= timedelta(days=1)
        await clock.advance_to(waits)
    assert (await running).read == 120
    assert fetched(box) == {1}


async def _advance_until_waiting(house: House, clock: TestClock, times: int) -> None:
    async def waiting() -> bool:
        await clock.advance(0.5)
        days = {told.until for told in house.told if told.reason == "daily_limit"}
        return len(days) == times and house.told[-1].reason == "daily_limit"

    await until(waiting)


async def test_two_at_once_are_refused(house: House, box: Postbox) -> None:
    house.history(3)
    await house.watched()
    store, now = house.rig.service.store, house.rig.clock.now()
    taken = await store.backfills.begin(SITE, now, "another process", now, now + timedelta(days=1))
    assert taken is not None
    with pytest.raises(Conflict, match="running already"):
        await house.backfill()
    assert (house.told[-1].reason, box.counts.bodies) == ("running", {})
    await store.backfills.release(taken[0])
    assert (await house.backfill()).read == 3


async def test_what_cannot_be_read_is_said_at_once(house: House, box: Postbox) -> None:
    with pytest.raises(NotFound):
        await house.backfill()
    channel = {"email": address_of(SITE), "outgoingServer": "localhost"}
    await house.rig.service.accounts.patch(SITE, {"channels": {"email": channel}}, may_create=True)
    with pytest.raises(Conflict, match="no mailbox"):
        await house.backfill()


async def test_a_mailbox_that_was_never_read_is_left_to_the_first_look(
    tmp_path: Path, authority: CertificateAuthority, box: Postbox
) -> None:
    """What `start` asks for must not become history before it is seen."""
    async with open_rig(tmp_path, authority, working=False) as rig:
        house = House(rig, box, authority, tmp_path)
        await rig.service.bells.close()
        house.history(3)
        await rig.connect(box.address[1], SITE, start="unseen")
        rig.watchers.changed(SITE)
        with pytest.raises(Conflict) as raised:
            await house.backfill()
        assert raised.value.code == "not_watched_yet"
        assert await house.stored() == []


async def test_no_more_than_the_site_keeps(house: House) -> None:
    house.add(letter(SITE), 50)
    house.add(letter(SITE), 20)
    await house.rig.watch(house.box.address[1], retention={"days": 30})
    assert (await house.backfill()).read == 1


# --- the command ----------------------------------------------------------------------------------


async def lines_of(process: asyncio.subprocess.Process, read: int) -> None:
    """Wait until the process says that it has read so many."""
    assert process.stdout is not None
    async for line in process.stdout:
        if json.loads(line)["read"] >= read:
            return
    raise AssertionError("it ended before")


async def test_the_command_is_interrupted_killed_and_gone_on_with(house: House, box: Postbox) -> None:
    given, far_from_done = 60, asyncio.Event()

    async def held(session: Session, command: ClientCommand) -> bool:
        if box.counts.bodies.total() >= given:
            await far_from_done.wait()
        return False

    house.history(180)
    await house.watched()
    box.on["UID FETCH"] = held
    interrupted = await house.command("--json")
    await lines_of(interrupted, 50)
    interrupted.send_signal(signal.SIGINT)
    _, errors = await interrupted.communicate()
    assert interrupted.returncode == 130
    assert errors.decode().startswith("Stopped.")
    assert f"`postroom backfill {SITE} --days 90` goes on" in errors.decode()
    given = box.counts.bodies.total() + 60
    killed = await house.command("--days", "90", "--json")
    await lines_of(killed, 50)
    killed.kill()
    await killed.communicate()
    del box.on["UID FETCH"]
    assert (await house.backfill()).known in (100, 150)
    assert await house.rig.states(SITE) == {"no_answer:history": 180}
    assert house.asked == []
    assert max(box.counts.bodies.values()) <= 2
    last = await house.command()
    output, errors = await last.communicate()
    assert (last.returncode, errors) == (0, b"")
    assert output.decode() == "0 messages were read, 180 of the last 90 days were there.\n"


async def test_the_command_tells_in_one_line_why_it_cannot_begin(house: House) -> None:
    failed = await house.command()
    output, errors = await failed.communicate()
    assert (failed.returncode, output, errors) == (1, b"", b"there is no such site\n")
