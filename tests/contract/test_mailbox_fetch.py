"""Fetching messages: in order, bounded, never past one that failed, and never held up by one for ever."""

import pytest

from postroom.core.errors import MailServerError, ServerCode
from postroom.core.ports import MailSession
from tests.support.reading import CAP, Reader, body, fact, farewell, fetched, login_for, select
from tests.support.scripted_imap import Peer


async def opened(peer: Peer, *facts: str) -> None:
    """Up to the answer to the first question for facts."""
    await peer.log_in()
    await select(peer, exists=len(facts), uidnext=100)
    await peer.answer("UID FETCH", *facts)


async def test_messages_come_ascending_whatever_order_the_server_likes(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(3, 1), fact(1, 1), fact(2, 1))
        await peer.answer("UID FETCH", body(2, b"b"), body(3, b"c"), body(1, b"a"))
        await farewell(peer)

    async with reader.session(script) as session:
        messages = await fetched(session, range(1, 4))
    assert [(message.uid, message.raw) for message in messages] == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert [step for step in reader.trail.steps if step.count(":") == 1] == ["imap:fetch"]


async def test_every_command_that_is_sent_and_ended_is_a_step(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 1))
        await peer.answer("UID FETCH", body(1, b"a"))
        await farewell(peer)

    async with reader.session(script) as session:
        await fetched(session, range(1, 2))
    wire = [step.removeprefix("imap:") for step in reader.trail.steps if step.count(":") == 2]
    assert wire[0] == "read:greeting"
    fetching = ["write:UID FETCH", "read:UID FETCH"] * 2
    assert wire[wire.index("write:SELECT") :][:6] == ["write:SELECT", "read:SELECT", *fetching]


async def test_uids_that_were_not_asked_for_are_dropped(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 1), fact(5, 1), fact(9, 1))
        await peer.answer("UID FETCH", body(1, b"x"), body(5, b"e"), body(77, b"y"))
        await farewell(peer)

    async with reader.session(script) as session:
        assert [message.uid for message in await fetched(session, range(5, 6))] == [5]


async def test_what_vanishes_between_size_and_body_is_left_out(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 1), fact(2, 1), fact(3, 1))
        await peer.answer("UID FETCH", body(1, b"a"), body(3, b"c"))
        again = await peer.answer("UID FETCH")
        assert again.line.endswith(b"UID FETCH 2 (UID FLAGS INTERNALDATE RFC822.SIZE)")
        await farewell(peer)

    async with reader.session(script) as session:
        assert [message.uid for message in await fetched(session, range(1, 4))] == [1, 3]


async def test_large_ones_come_as_headers_in_their_place(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 1), fact(2, 8_000_000_000), fact(3, 1))
        await peer.answer("UID FETCH", body(1, b"a"))
        request = await peer.answer("UID FETCH", body(2, b"Subject: big\r\n\r\n", "BODY[HEADER]"))
        assert b"BODY.PEEK[HEADER]" in request.line
        await peer.answer("UID FETCH", body(3, b"c"))
        await farewell(peer)

    async with reader.session(script) as session:
        small, large, last = await fetched(session, range(1, 4))
    assert (small.raw, large.raw, last.raw) == (b"a", None, b"c")
    assert (large.size, large.headers) == (8_000_000_000, b"Subject: big\r\n\r\n")


async def gather_into(given: list[int], session: MailSession) -> None:
    async for message in session.fetch("INBOX", [range(1, 4)], CAP):
        given.append(message.uid)  # noqa: PERF401 - what came before an error counts


@pytest.mark.parametrize(
    "answer",
    [
        ("* OK nothing of it",),
        ("* 2 FETCH (UID 2)",),
        ("* 2 FETCH (UID 2 RFC822.SIZE 5 BODY[] NIL)",),
        ("* 2 FETCH (UID 2 RFC822.SIZE 5 BODY[] {0}\r\n)",),
    ],
    ids=["silence", "no body", "nil", "empty"],
)
async def test_ok_without_the_bytes_is_an_error_and_nothing_is_given_past_it(
    reader: Reader, answer: tuple[str, ...]
) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 1), fact(2, 5), fact(3, 1))
        request = await peer.answer("UID FETCH", body(1, b"a"), *answer, body(3, b"c"))
        assert b"RFC822.SIZE" in request.line, "without its size an empty body could be an empty message"
        if "FETCH" not in answer[0]:
            await peer.answer("UID FETCH", fact(2, 5))
        await peer.hang()

    given: list[int] = []
    async with reader.session(script) as session:
        with pytest.raises(MailServerError) as caught:
            await gather_into(given, session)
    assert (caught.value.server_code, caught.value.temporary) == (ServerCode.PROTOCOL_ERROR, True)
    assert given == [1]


async def test_a_message_whose_body_never_comes_does_not_hold_up_the_others_for_ever(reader: Reader) -> None:
    """Three tries for the body, then its headers, so that the account's other mail goes on."""
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 5), fact(2, 1))
        while True:
            request = await peer.receive()
            if request.name == "LOGOUT":
                await peer.send("* BYE", f"{request.tag} OK")
                return
            asked.append(request.line.partition(b"FETCH ")[2])
            if b"FETCH 2 " in request.line:
                await peer.send(body(2, b"b"), f"{request.tag} OK done")
            elif b"HEADER" in request.line:
                await peer.send(body(1, b"A: b\r\n\r\n", "BODY[HEADER]"), f"{request.tag} OK done")
            else:
                await peer.send("* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[] NIL)", f"{request.tag} OK done")

    async with reader.served(script) as server:
        login = login_for(server)
        for _ in range(3):
            async with reader.access.open(login) as session:
                with pytest.raises(MailServerError):
                    await fetched(session, range(1, 3))
        async with reader.access.open(login) as session:
            first, second = await fetched(session, range(1, 3))
    assert (first.raw, first.headers, second.raw) == (None, b"A: b\r\n\r\n", b"b")
    assert [line.partition(b" ")[0] for line in asked] == [b"1:2", b"1", b"1", b"1", b"2"]


async def test_a_size_that_lies_costs_no_memory_and_the_message_comes_as_headers(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 10))
        request = await peer.expect("UID FETCH")
        if b"HEADER" in request.line:
            await peer.send(body(1, b"A: b\r\n\r\n", "BODY[HEADER]"), f"{request.tag} OK done")
            await farewell(peer)
        else:
            await peer.send("* 1 FETCH (UID 1 BODY[] {8000000000}")
            await peer.hang()

    async with reader.served(script) as server:
        async with reader.access.open(login_for(server)) as session:
            with pytest.raises(MailServerError) as caught:
                await fetched(session, range(1, 2))
        assert caught.value.server_code is ServerCode.PROTOCOL_ERROR
        async with reader.access.open(login_for(server)) as session:
            (message,) = await fetched(session, range(1, 2))
    assert (message.raw, message.headers) == (None, b"A: b\r\n\r\n")


async def test_a_lost_connection_is_no_reason_to_give_a_body_up(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 5), fact(2, 5))
        request = await peer.expect("UID FETCH")
        assert b"BODY.PEEK[]" in request.line
        assert b"1:2" in request.line
        peer.reset()

    async with reader.served(script) as server:
        for _ in range(8):
            async with reader.access.open(login_for(server)) as session:
                with pytest.raises(MailServerError) as caught:
                    await fetched(session, range(1, 3))
            assert caught.value.server_code is ServerCode.CONNECT_FAILED


async def test_a_missing_date_or_size_loses_no_message(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, "* 1 FETCH (UID 1 FLAGS (\\Answered))")
        await peer.answer("UID FETCH", "* 1 FETCH (UID 1 BODY[] {2}\r\nhi)")
        await farewell(peer)

    async with reader.session(script) as session:
        (message,) = await fetched(session, range(1, 2))
    assert (message.raw, message.size, message.flags) == (b"hi", 2, frozenset({"\\Answered"}))
    assert message.received_at.tzinfo is not None


async def test_wide_ranges_are_asked_for_in_portions(reader: Reader) -> None:
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=2000)
        for _ in range(3):
            request = await peer.answer("UID FETCH")
            asked.append(request.line.split(b" ")[3])
        await farewell(peer)

    async with reader.session(script) as session:
        assert await fetched(session, range(1001, 1201), range(1, 1001)) == []
    assert asked == [b"1:500", b"501:1000", b"1001:1200"]


async def test_gmails_labels_come_along(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1 X-GM-EXT-1")
        await select(peer, exists=1, uidnext=2)
        line = fact(1, 2).replace("FLAGS ()", 'FLAGS () X-GM-LABELS (\\Inbox "gr&APwA3w-e")')
        await peer.answer("UID FETCH", line)
        await peer.answer("UID FETCH", body(1, b"hi"))
        await farewell(peer)

    async with reader.session(script) as session:
        (message,) = await fetched(session, range(1, 2))
    assert message.labels == ("\\Inbox", "grüße")
