"""IDLE: told at once, left cleanly, and never stuck."""

import asyncio
from dataclasses import replace

import pytest

from postroom.imap.errors import ImapBye, ImapClosed, ImapNo, ImapTimeout
from postroom.imap.idle import Changes
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_imap import Peer
from tests.wire.imap_calls import DEADLINES, conversation

IMPATIENT = replace(DEADLINES, command=0.3)
LONG = 30.0


async def idling(peer: Peer) -> str:
    """Lets the client idle; gives the tag."""
    command = await peer.expect("IDLE")
    await peer.send("+ idling")
    return command.tag


async def done(peer: Peer, tag: str) -> None:
    assert (await peer.expect("")).line == b"DONE"
    await peer.send(f"{tag} OK Idle completed")


async def test_a_change_ends_the_wait_at_once_and_idle_is_entered_again(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        for count in (5, 6):
            tag = await idling(peer)
            await peer.send(f"* {count} EXISTS", "* 1 RECENT")
            await done(peer, tag)
            await peer.answer("NOOP", "* 2 EXPUNGE", r"* 1 FETCH (FLAGS (\Seen))")

    async with conversation(authority, script) as (client, server):
        for count in (5, 6):
            async with client.idle() as idle:
                assert await idle.wait(LONG) == Changes(exists=count)
            assert await client.noop() == Changes(expunged=1, flagged=1)
        await server.finished()


async def test_a_quiet_wait_ends_in_time_without_changes(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await done(peer, await idling(peer))
        await peer.answer("NOOP")

    async with conversation(authority, script, deadlines=IMPATIENT) as (client, _):
        async with client.idle() as idle:
            assert not await idle.wait(0.05)
            assert not await idle.wait(2 * IMPATIENT.command)
        await client.noop()


async def test_changes_come_as_a_stream(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        tag = await idling(peer)
        for count in (5, 6, 7):
            await peer.send(f"* {count} EXISTS")
        await done(peer, tag)

    seen: list[int | None] = []
    async with conversation(authority, script) as (client, _), client.idle() as idle:
        async for changes in idle:
            seen.append(changes.exists)
            if changes.exists == 7:
                break
    assert seen[-1:] == [7]


async def test_what_came_before_idle_ends_the_first_wait(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("IDLE")
        await peer.send("* 9 EXISTS", "+ idling")
        await done(peer, "P2")

    async with conversation(authority, script) as (client, _), client.idle() as idle:
        assert (await idle.wait(LONG)).exists == 9


async def test_another_task_can_interrupt(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await done(peer, await idling(peer))

    async with conversation(authority, script) as (client, server):
        async with client.idle() as idle:
            waiting = asyncio.ensure_future(idle.wait(LONG))
            await asyncio.sleep(0)
            idle.interrupt()
            assert not await waiting
            idle.interrupt()
            assert not await idle.wait(LONG)
        await server.finished()


async def test_a_command_during_idle_is_a_mistake_that_shows(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await done(peer, await idling(peer))
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        async with client.idle():
            with pytest.raises(RuntimeError):
                await client.noop()
        await client.noop()


async def test_a_server_that_ends_idle_itself_is_heard(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        tag = await idling(peer)
        await peer.send(f"{tag} OK enough")
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, server):
        async with client.idle() as idle:
            assert not await idle.wait(LONG)
            assert idle.ended
        await client.noop()
        assert b"DONE" not in server.received


@pytest.mark.parametrize("answer", ["NO not now", "NO [ALERT] never"])
async def test_a_refused_idle_is_a_refusal(authority: CertificateAuthority, answer: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer("IDLE", status=answer)
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        with pytest.raises(ImapNo):
            async with client.idle():
                pytest.fail("idling was refused")
        await client.noop()


async def test_bye_while_idle(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await idling(peer)
        await peer.send("* BYE Autologout")

    async with conversation(authority, script) as (client, _):
        with pytest.raises(ImapBye) as failure:
            async with client.idle() as idle:
                await idle.wait(LONG)
        assert failure.value.server_text == "Autologout"


async def test_a_lost_connection_while_idle(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await idling(peer)
        peer.reset()

    async with conversation(authority, script) as (client, _):
        with pytest.raises(ImapClosed):
            async with client.idle() as idle:
                await idle.wait(LONG)


async def test_no_plus_and_no_answer_to_done_have_a_deadline(authority: CertificateAuthority) -> None:
    async def no_plus(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("IDLE")
        await peer.hang()

    async def no_answer(peer: Peer) -> None:
        await peer.log_in()
        await idling(peer)
        await peer.hang()

    async with conversation(authority, no_plus, deadlines=IMPATIENT) as (client, _):
        with pytest.raises(ImapTimeout):
            async with client.idle():
                pytest.fail("the server did not say +")
    async with conversation(authority, no_answer, deadlines=IMPATIENT) as (client, _):
        with pytest.raises(ImapTimeout):
            async with client.idle() as idle:
                assert not await idle.wait(0.05)


async def test_a_cancelled_idle_says_done(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await done(peer, await idling(peer))
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        entered = asyncio.Event()

        async def wait() -> None:
            async with client.idle() as idle:
                entered.set()
                await idle.wait(LONG)

        waiting = asyncio.ensure_future(wait())
        await entered.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.noop()


async def test_idle_cancelled_before_the_server_agreed_ends_the_connection(
    authority: CertificateAuthority,
) -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("IDLE")
        asked.set()
        await peer.hang()

    async with conversation(authority, script) as (client, _):

        async def wait() -> None:
            async with client.idle():
                pytest.fail("the server did not say +")

        waiting = asyncio.ensure_future(wait())
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not client.is_open


async def test_alerts_reach_the_reader(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer("NOOP", "* OK [ALERT] System shutdown in 10 minutes")

    async with conversation(authority, script) as (client, _):
        assert (await client.noop()).alerts == ("System shutdown in 10 minutes",)
