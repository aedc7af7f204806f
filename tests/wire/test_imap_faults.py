"""Servers that misbehave: they hang, stop, lie about sizes, speak in drops, or say good-bye in the middle."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from postroom.imap import search
from postroom.imap.client import Client
from postroom.imap.errors import (
    ImapBye,
    ImapClosed,
    ImapError,
    ImapLiteralTooLarge,
    ImapProtocolError,
    ImapThrottled,
    ImapTimeout,
)
from postroom.imap.fetch import Fetched, FetchItem
from postroom.imap.uids import UidSet
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_imap import Peer
from tests.wire.imap_calls import DEADLINES, conversation, fetched, take_all

IMPATIENT = replace(DEADLINES, command=0.3, transfer=0.3)


async def outcome(waiting: asyncio.Task[object]) -> ImapError:
    with pytest.raises(ImapError) as failure:
        await waiting
    return failure.value


async def test_bye_fails_every_waiter_with_its_words(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("NOOP")
        await peer.expect("STATUS")
        await peer.send("* BYE System is going down")
        await peer.hang()

    async with conversation(authority, script) as (client, _):
        first = asyncio.ensure_future(client.noop())
        second = asyncio.ensure_future(client.status("INBOX"))
        for waiting in (first, second):
            failure = await outcome(waiting)
            assert isinstance(failure, ImapBye)
            assert failure.server_text == "System is going down"
        assert not client.is_open
        with pytest.raises(ImapBye):
            await client.noop()


async def test_bye_that_asks_to_wait_is_told_apart(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("NOOP")
        await peer.send("* BYE [UNAVAILABLE] Server shutting down, retry in 30 seconds")

    async with conversation(authority, script) as (client, _):
        with pytest.raises(ImapThrottled) as failure:
            await client.noop()
        assert failure.value.wait_seconds == 30


@pytest.mark.parametrize("reset", [False, True])
async def test_the_end_of_the_stream_fails_a_half_read_body(
    authority: CertificateAuthority, reset: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("UID FETCH")
        await peer.send_raw(b"* 1 FETCH (UID 7 BODY[] {3}\r\none)\r\n* 2 FETCH (UID 8 BODY[] {1000}\r\nabc")
        if reset:
            peer.reset()

    async with conversation(authority, script) as (client, _):
        seen: list[Fetched] = []
        with pytest.raises(ImapClosed):
            await take_all(client, UidSet.of([7, 8]), [FetchItem.BODY], seen)
        assert [message.body for message in seen] == [b"one"] or reset


async def test_a_giant_literal_is_refused_unread(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("UID FETCH")
        await peer.send_raw(b"* 1 FETCH (UID 7 BODY[] {8000000000}\r\n")
        while True:
            await peer.send_raw(bytes(1 << 16))

    async with conversation(authority, script) as (client, _):
        with pytest.raises(ImapLiteralTooLarge) as failure:
            await fetched(client, UidSet.of([7]), FetchItem.BODY, cap=1 << 20)
        assert failure.value.size == 8_000_000_000
        assert not client.is_open


async def test_the_cap_is_the_commands_own(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer("UID FETCH", b"* 1 FETCH (UID 7 BODY[] {300000}\r\n" + bytes(300_000) + b")")
        await peer.expect("NOOP")
        await peer.send_raw(b"* LIST () NIL {300000}\r\n")
        await peer.hang()

    async with conversation(authority, script) as (client, _):
        [message] = await fetched(client, UidSet.of([7]), FetchItem.BODY, cap=300_000)
        assert message.body == bytes(300_000)
        with pytest.raises(ImapLiteralTooLarge):
            await client.noop()


@pytest.mark.parametrize(
    "flood",
    [
        b"* OK " + b"x" * 70_000,
        b"* 1 FETCH (" + b"(" * 70_000,
        b"* LIST () NIL {1}\r\nx" + b" {1}\r\nx" * 70_000,
    ],
)
async def test_what_has_no_end_ends_the_connection(authority: CertificateAuthority, flood: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("NOOP")
        await peer.send_raw(flood)
        while b"OK" in flood:
            await peer.send_raw(b"x" * 70_000)
        await peer.send("")
        await peer.hang()

    async with conversation(authority, script) as (client, _):
        with pytest.raises(ImapProtocolError):
            await client.noop()


async def test_a_server_that_sends_single_bytes_is_understood(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        command = await peer.expect("UID FETCH")
        await peer.send_slowly(b'* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[] {9}\r\n{3}\r\nabc\n X "a\\"b")\r\n')
        await peer.send_slowly(command.tag.encode() + b" OK done\r\n")

    async with conversation(authority, script) as (client, _):
        [message] = await fetched(client, UidSet.of([7]), FetchItem.BODY, FetchItem.FLAGS)
        assert message.body == b"{3}\r\nabc\n"


async def test_a_deadline_closes_the_connection(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("NOOP")
        await peer.hang()

    async with conversation(authority, script, deadlines=IMPATIENT) as (client, server):
        with pytest.raises(ImapTimeout):
            await client.noop()
        assert not client.is_open
        await server.finished()
        assert server.peers[0].gone


async def test_chatter_does_not_put_off_a_deadline(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("NOOP")
        while True:
            await peer.send("* OK still here", "* 5 EXISTS")
            await asyncio.sleep(0.01)

    async with conversation(authority, script, deadlines=IMPATIENT) as (client, _):
        with pytest.raises(ImapTimeout):
            await client.noop()


async def test_a_fetch_that_stalls_is_given_up_and_one_that_moves_is_not(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        command = await peer.expect("UID FETCH")
        for uid in range(1, 7):
            await peer.send(f'* {uid} FETCH (UID {uid} BODY[] "x")')
            await asyncio.sleep(0.1)
        await peer.send(f"{command.tag} OK done")
        await peer.expect("UID FETCH")
        await peer.send_raw(b'* 1 FETCH (UID 1 BODY[] "')
        await peer.hang()

    async with conversation(authority, script, deadlines=IMPATIENT) as (client, _):
        assert len(await fetched(client, UidSet.starting_at(1), FetchItem.BODY)) == 6
        with pytest.raises(ImapTimeout):
            await fetched(client, UidSet.starting_at(1), FetchItem.BODY)


async def test_a_slow_taker_is_not_the_servers_fault(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        big = b"{700000}\r\n" + bytes(700_000)
        lines = [b"* %d FETCH (UID %d BODY[] " % (uid, uid) + big + b")" for uid in range(1, 6)]
        await peer.answer("UID FETCH", *lines)

    async with conversation(authority, script, deadlines=IMPATIENT) as (client, _):
        taken = []
        async with aclosing(client.uid_fetch(UidSet.starting_at(1), [FetchItem.BODY], 700_000)) as messages:
            async for message in messages:
                await asyncio.sleep(0.2)
                taken.append(message.uid)
        assert taken == [1, 2, 3, 4, 5]


async def test_a_server_that_stalls_after_a_slow_taker_is_given_up(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("UID FETCH")
        for uid in (1, 2, 3):
            await peer.send(b"* %d FETCH (UID %d BODY[] {700000}" % (uid, uid), bytes(700_000) + b")")
        await peer.hang()

    async with conversation(authority, script, deadlines=IMPATIENT) as (client, _):
        taken = []
        async with aclosing(client.uid_fetch(UidSet.starting_at(1), [FetchItem.BODY], 700_000)) as messages:
            taken.append((await anext(messages)).uid)
            await asyncio.sleep(0.5)
            taken.append((await anext(messages)).uid)
            taken.append((await anext(messages)).uid)
            with pytest.raises(ImapTimeout):
                await anext(messages)
        assert taken == [1, 2, 3]


async def test_a_taker_may_send_commands_between_messages(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        big = b"{700000}\r\n" + bytes(700_000)
        lines = [b"* %d FETCH (UID %d BODY[] " % (uid, uid) + big + b")" for uid in range(1, 9)]
        await peer.answer("UID FETCH", *lines)
        for _ in range(8):
            await peer.answer("UID STORE")

    async with conversation(authority, script) as (client, _):
        taken = []
        async with aclosing(client.uid_fetch(UidSet.starting_at(1), [FetchItem.BODY], 700_000)) as messages:
            async for message in messages:
                await client.add_flags(UidSet.of([message.uid]), ["\\Answered"])
                taken.append(message.uid)
        assert taken == list(range(1, 9))


async def test_two_fetches_under_way_do_not_run_out_of_time_for_a_slow_taker(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        first, second = await peer.expect("UID FETCH"), await peer.expect("UID FETCH")
        for command, uids in ((first, range(1, 5)), (second, range(5, 9))):
            for uid in uids:
                await peer.send(b"* %d FETCH (UID %d BODY[] {700000}" % (uid, uid), bytes(700_000) + b")")
            await peer.send(f"{command.tag} OK done")

    async with conversation(authority, script, deadlines=IMPATIENT) as (client, _):
        early = client.uid_fetch(UidSet.spanning([(1, 4)]), [FetchItem.BODY], 700_000)
        late = client.uid_fetch(UidSet.spanning([(5, 8)]), [FetchItem.BODY], 700_000)
        async with aclosing(early), aclosing(late):
            first, second = await asyncio.gather(anext(early), anext(late))
            taken = [first.uid, second.uid]
            for messages in (early, late):
                async for message in messages:
                    await asyncio.sleep(0.15)
                    taken.append(message.uid)
        assert sorted(taken) == list(range(1, 9))


async def test_an_upload_that_is_not_taken_is_given_up(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1")
        announced = await peer.next_event()
        assert announced
        await peer.send("+ go on")
        await asyncio.Event().wait()

    async with conversation(authority, script, deadlines=IMPATIENT) as (client, _):
        with pytest.raises(ImapTimeout):
            await client.append("Sent", bytes([65]) * (32 << 20))


async def test_stray_and_broken_lines_are_stepped_over(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer(
            "UID SEARCH",
            "",
            "what is this",
            "*",
            "* ",
            "+ nothing was asked",
            "P999 OK unknown tag",
            "*   SEARCH  1   2",
            "* 7",
            "* 1 FETCH",
            '* 1 FETCH (UID 7 X "no end',
            "* OK",
            "* OK [",
            "* OK [ALERT",
            "* 99999999999999999999999 EXISTS",
        )
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        assert list(await client.uid_search(search.ALL)) == [1, 2]
        await client.noop()


async def test_a_cancelled_command_leaves_the_connection_good(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        first = await peer.expect("STATUS")
        second = await peer.expect("NOOP")
        await peer.send("* STATUS INBOX (MESSAGES 5)", f"{first.tag} OK done", f"{second.tag} OK done")

    async with conversation(authority, script) as (client, _):
        waiting = asyncio.ensure_future(client.status("INBOX"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.noop()


async def test_a_command_cancelled_in_the_middle_of_a_literal_ends_the_connection(
    authority: CertificateAuthority,
) -> None:
    announced = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1")
        await peer.next_event()
        announced.set()
        await peer.hang()

    async with conversation(authority, script) as (client, _):
        waiting = asyncio.ensure_future(client.append("Sent", b"x" * 100_000))
        await announced.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not client.is_open


async def test_a_closed_client_says_so(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("NOOP")
        await peer.hang()

    async with conversation(authority, script) as (client, server):
        waiting = asyncio.ensure_future(client.noop())
        await asyncio.sleep(0)
        await client.close()
        await client.close()
        assert isinstance(await outcome(waiting), ImapClosed)
        with pytest.raises(ImapClosed):
            await client.noop()
        await server.finished()


async def test_one_talkative_server_does_not_hold_up_another(authority: CertificateAuthority) -> None:
    async def talkative(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("NOOP")
        while True:
            await peer.send_raw(b"* 1 FETCH (FLAGS (\\Seen))\r\n" * 5_000)

    async def quiet(peer: Peer) -> None:
        await peer.log_in()
        while True:
            await peer.answer("NOOP")

    async with conversation(authority, talkative) as (noisy, _), conversation(authority, quiet) as (calm, _):
        busy = asyncio.ensure_future(noisy.noop())
        loop = asyncio.get_running_loop()
        started = loop.time()
        for _ in range(20):
            await calm.noop()
        assert loop.time() - started < 3.0
        assert not busy.done()
        busy.cancel()


async def test_nothing_is_left_open(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.hang()

    async with conversation(authority, script) as (client, server):
        assert isinstance(client, Client)
        await client.close()
        await server.finished()
        assert server.peers[0].gone
