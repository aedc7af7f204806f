"""Connections that are refused, throttled, cut or silently dead: how often we come back, and that we do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from postroom.imap.wire import ClientCommand
from tests.scenario.watch.postbox import Postbox, Session
from tests.scenario.watch.rig import Rig, letter, open_rig, until
from tests.support.certificates import CertificateAuthority
from tests.support.clock import TestClock
from tests.support.fault_proxy import FaultProxy


@pytest.fixture
async def still(tmp_path: Path, authority: CertificateAuthority) -> AsyncIterator[Rig]:
    """The engine under a clock that the test moves; it watches, and answers nothing."""
    async with open_rig(tmp_path, authority, clock=TestClock(), working=False) as running:
        yield running


async def refuse(session: Session, command: ClientCommand) -> bool:
    session.box.counts.logins += 1
    await session.end(command, "NO [AUTHENTICATIONFAILED] wrong")
    return True


async def welcome_and_bye(session: Session, command: ClientCommand) -> bool:
    session.box.counts.logins += 1
    await session.say(f"{command.tag} OK welcome", "* BYE too much to do")
    session.peer.writer.close()
    return True


async def test_a_wrong_password_is_tried_at_most_ten_times_in_a_day(still: Rig, box: Postbox) -> None:
    box.on["AUTHENTICATE"] = refuse
    site = await still.connect(box.address[1], owner="owner@example.org")
    await still.pass_time(timedelta(hours=24))
    assert 3 <= box.counts.logins <= 10
    status = still.status(site)
    assert status.state.value == "auth_failed"
    assert status.next_try_at is not None
    assert status.next_try_at > still.clock.now()
    assert "password" in status.error_text.lower()
    assert await still.notices(site) == ["account.auth_failed"]


async def test_a_new_password_is_tried_at_once_and_another_signature_is_no_reason(
    still: Rig, box: Postbox
) -> None:
    box.on["AUTHENTICATE"] = refuse
    site = await still.connect(box.address[1])
    await still.pass_time(timedelta(hours=1))
    logins = box.counts.logins
    await still.service.accounts.patch(site, {"signature": "Yours"}, may_create=False)
    await still.time.until_asleep()
    del box.on["AUTHENTICATE"]
    assert box.counts.logins == logins
    await still.password(site, "another secret")
    assert (await still.in_state(site, "watching")).error_code == ""
    assert box.counts.logins == logins + 1


async def test_a_login_that_ends_in_bye_is_tried_at_most_15_times_in_ten_minutes(
    still: Rig, box: Postbox
) -> None:
    box.on["AUTHENTICATE"] = welcome_and_bye
    site = await still.connect(box.address[1])
    await still.pass_time(timedelta(minutes=10))
    assert 5 <= box.counts.connects <= 15
    assert still.status(site).state.value == "backing_off"


async def test_a_server_that_says_bye_after_each_look_does_not_reset_the_back_off(
    still: Rig, box: Postbox
) -> None:
    async def bye(session: Session, command: ClientCommand) -> bool:
        await session.say("* BYE that is all")
        session.peer.writer.close()
        return True

    box.on["IDLE"] = bye
    await still.connect(box.address[1])
    await still.pass_time(timedelta(minutes=10))
    assert 5 <= box.counts.connects <= 15


@pytest.mark.parametrize("where", ["AUTHENTICATE", "SELECT", "IDLE"])
async def test_the_time_that_a_server_asks_for_is_waited(still: Rig, box: Postbox, where: str) -> None:
    async def throttled(session: Session, command: ClientCommand) -> bool:
        words = "Request is throttled. Suggested Backoff Time: 299961 milliseconds"
        await session.end(command, f"BAD {words}") if where != "IDLE" else await session.say(f"* BYE {words}")
        return True

    box.on[where] = throttled
    site = await still.connect(box.address[1])
    status = await still.in_state(site, "backing_off")
    assert status.next_try_at is not None
    assert status.next_try_at - status.since >= timedelta(seconds=299)
    assert status.error_code == "throttled"
    await still.time.until_asleep()
    connects = box.counts.connects
    await still.time.advance(290)
    assert box.counts.connects == connects
    del box.on[where]
    await still.time.advance(20)
    await still.in_state(site, "watching")
    assert box.counts.connects == connects + 1


async def test_connections_lost_before_do_not_lengthen_the_wait_that_a_server_asks_for(
    still: Rig, box: Postbox
) -> None:
    site = await still.connect(box.address[1])
    for _ in range(4):
        await still.in_state(site, "watching")
        await box.farewell()
        await still.time.until_asleep()
        await still.time.advance(16)
    await still.in_state(site, "watching")
    await box.farewell("* BYE Request is throttled")
    status = await still.in_state(site, "backing_off")
    assert status.next_try_at is not None
    assert timedelta(seconds=30) <= status.next_try_at - status.since <= timedelta(seconds=60)


async def test_six_changes_of_uidvalidity_in_a_row_pause_the_account_and_tell_the_owner(
    still: Rig, box: Postbox
) -> None:
    site = await still.connect(box.address[1])
    for _ in range(6):
        await still.in_state(site, "watching")
        box.renumber()
        await box.farewell()
        await still.time.until_asleep()
        await still.time.advance(600)
    status = await still.in_state(site, "paused")
    await still.time.until_asleep()
    assert await still.notices(site) == ["mailbox.reset_loop"]
    assert "renumbers" in status.error_text
    connects = box.counts.connects
    await still.time.advance(timedelta(days=30).total_seconds())
    assert box.counts.connects == connects
    await still.service.accounts.patch(site, {"signature": "saved again"}, may_create=False)
    await still.in_state(site, "watching")


async def test_an_idle_that_died_silently_is_found_and_nothing_is_lost(rig: Rig, box: Postbox) -> None:
    async with FaultProxy(box.address) as proxy:
        site = await rig.watch(proxy.address[1])
        await until(lambda: box.counts.commands["IDLE"])
        proxy.swallow()
        box.deliver(letter(site))
        # One safety poll, the wait for the answer to DONE, and a first back-off: each short in a test.
        async with asyncio.timeout(10):
            await rig.sent(1)
        box.deliver(letter(site))
        await rig.sent(2)
        assert proxy.connections == 2
        assert proxy.most_open <= 2


async def test_a_network_that_stands_still_loses_nothing_once_it_heals(swift: Rig, box: Postbox) -> None:
    async with FaultProxy(box.address) as proxy:
        site = await swift.watch(proxy.address[1])
        proxy.pause()
        await swift.in_state(site, "backing_off")
        for _ in range(20):
            box.deliver(letter(site), received_at=swift.clock.now())
        proxy.heal()
        await swift.sent(20)
        proxy.refuse()
        proxy.cut()
        await swift.in_state(site, "backing_off")
        box.deliver(letter(site), received_at=swift.clock.now())
        proxy.heal()
        await swift.sent(21)


async def test_a_hundred_changes_of_the_settings_never_make_more_than_two_connections(
    rig: Rig, box: Postbox
) -> None:
    site = await rig.watch(box.address[1])
    for number in range(100):
        await rig.service.accounts.patch(site, {"signature": f"number {number}"}, may_create=False)
        await asyncio.sleep(0.001 * (number % 5))  # different moments of connecting
    await rig.in_state(site, "watching")
    box.deliver(letter(site))
    await rig.sent(1)
    assert box.counts.connects > 5
    assert box.counts.most_open <= 2
    assert len(box.sessions) == 1


async def test_the_check_beside_the_watcher_makes_two_connections(rig: Rig, box: Postbox) -> None:
    site = await rig.watch(box.address[1])
    check = await rig.service.accounts.check_saved(site, skip_smtp=True)
    assert check.success
    assert box.counts.most_open == 2
    await until(lambda: len(box.sessions) == 1)


async def test_a_server_without_idle_is_polled_and_says_so(rig: Rig, box: Postbox) -> None:
    box.capabilities = "IMAP4rev1"
    site = await rig.watch(box.address[1])
    assert rig.status(site).state.value == "polling"
    box.deliver(letter(site))
    await rig.sent(1)


async def test_an_account_that_is_taken_away_is_stopped(rig: Rig, box: Postbox) -> None:
    site = await rig.watch(box.address[1])
    await rig.service.accounts.patch(site, {"channels": {"email": None}}, may_create=False)
    await rig.in_state(site, "stopped")
    await until(lambda: not box.sessions)
