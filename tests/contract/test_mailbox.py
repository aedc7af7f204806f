"""Reading a mailbox: what servers do to readers, line by line, and that nothing is lost or made up by it."""

import asyncio
from datetime import date

import pytest

from postroom.adapters.mailbox.patience import Patience
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.ports import FetchedMessage, MailSession
from tests.support.certificates import CertificateAuthority
from tests.support.reading import Reader, body, fact, farewell, login_for, noop, select
from tests.support.scripted_imap import Peer

CAP = 1000


@pytest.fixture
def reader(authority: CertificateAuthority) -> Reader:
    return Reader(authority)


async def fetched(session: MailSession, *ranges: range, cap: int = CAP) -> list[FetchedMessage]:
    return [message async for message in session.fetch("INBOX", ranges, cap)]


# --- how a mailbox stands -------------------------------------------------------------------------


async def test_the_status_of_the_open_mailbox_is_what_can_be_fetched(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=2, uidnext=10)
        await noop(peer)
        await noop(peer, "* 3 EXISTS")
        await peer.answer("UID FETCH", fact(12, 50, sequence=3))
        await farewell(peer)

    async with reader.session(script) as session:
        first = await session.status("INBOX")
        assert (first.uidvalidity, first.uidnext, first.exists) == (7, 10, 2)
        assert await session.status("INBOX") == first
        second = await session.status("INBOX")
        assert (second.uidnext, second.exists) == (13, 3)


async def test_a_fetch_to_the_end_that_shows_the_last_old_message_is_no_news(reader: Reader) -> None:
    """RFC 9051 section 6.4.9: `10:*` always names the last message."""

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=2, uidnext=10)
        for _ in range(100):
            await noop(peer, "* 2 EXISTS")
            fetch = await peer.answer("UID FETCH", fact(9, 50, sequence=2))
            assert b"10:*" in fetch.line
        await farewell(peer)

    async with reader.session(script) as session:
        for _ in range(101):
            assert (await session.status("INBOX")).uidnext == 10


async def test_what_was_announced_needs_one_round_trip_less(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        idle = await peer.expect("IDLE")
        await peer.send("+ idling", "* 1 EXISTS")
        assert (await peer.receive()).line == b"DONE"
        await peer.send(f"{idle.tag} OK done")
        await peer.answer("UID FETCH", fact(1, 2))
        await peer.answer("UID FETCH", body(1, b"hi"))
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert await session.wait("INBOX", 10) is True
        assert (await session.status("INBOX")).uidnext == 2
        assert [message.raw for message in await fetched(session, range(1, 2))] == [b"hi"]


async def test_expunged_messages_leave_the_count(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=5, uidnext=6)
        await noop(peer, "* 1 EXPUNGE", "* 1 EXPUNGE")
        await noop(peer, "* 2 EXPUNGE", "* 3 EXISTS")
        await peer.answer("UID FETCH", fact(6, 10, sequence=3))
        await farewell(peer)

    async with reader.session(script) as session:
        assert [(await session.status("INBOX")).exists for _ in range(3)] == [5, 3, 3]


async def test_many_new_messages_open_the_mailbox_anew_instead_of_listing_them(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        await noop(peer, "* 100000 EXISTS")
        await select(peer, exists=100_000, uidnext=100_001)
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert (await session.status("INBOX")).uidnext == 100_001


@pytest.mark.parametrize("told", ["UIDNEXT 12 UIDVALIDITY 7", "UIDNEXT 10 UIDVALIDITY 8"])
async def test_a_view_that_is_stuck_or_renumbered_is_opened_anew(
    authority: CertificateAuthority, told: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=2, uidnext=10)
        await noop(peer)
        await peer.answer("STATUS", f"* STATUS INBOX (MESSAGES 4 {told})")
        await select(peer, exists=4, uidnext=12, uidvalidity=8)
        await farewell(peer)

    async with Reader(authority, Patience(compare=0.0)).session(script) as session:
        await session.status("INBOX")
        again = await session.status("INBOX")
        assert (again.uidvalidity, again.uidnext, again.exists) == (8, 12, 4)


async def test_a_server_that_refuses_status_of_the_open_mailbox_is_believed_as_it_is(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=2, uidnext=10)
        await noop(peer)
        await peer.answer("STATUS", status="BAD not while it is open")
        await farewell(peer)

    async with Reader(authority, Patience(compare=0.0)).session(script) as session:
        await session.status("INBOX")
        assert (await session.status("INBOX")).uidnext == 10


async def test_old_servers_that_tell_little_are_asked(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1")
        await peer.answer("SELECT", "* 3 EXISTS")
        await peer.answer("STATUS", "* STATUS INBOX (UIDVALIDITY 5)")
        await peer.answer("UID SEARCH", "* SEARCH 4 9 2")
        await farewell(peer)

    async with reader.session(script) as session:
        status = await session.status("INBOX")
        assert (status.uidvalidity, status.uidnext, status.exists) == (5, 10, 3)
        assert session.pushes is False


async def test_other_mailboxes_are_glanced_at_without_leaving_the_main_one(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1")
        await select(peer, exists=1, uidnext=2)
        await select(peer, exists=0, uidnext=1)
        await peer.answer("STATUS", "* STATUS Sent (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)")
        await peer.answer("STATUS", "* STATUS Sent (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 7)")
        await select(peer, exists=2, uidnext=3)
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("Sent")
        await session.status("INBOX")
        assert await session.wait("INBOX", 0.01) is False
        assert (await session.status("Sent")).uidnext == 2
        assert (await session.status("Sent")).uidnext == 3


async def test_a_mailbox_that_was_renumbered_meanwhile_is_not_read_under_old_numbers(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=1, uidnext=2)
        await select(peer, exists=1, uidnext=2)
        await select(peer, exists=1, uidnext=2, uidvalidity=8)
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        await session.status("Sent")
        with pytest.raises(MailServerError) as caught:
            await fetched(session, range(1, 2))
    assert caught.value.temporary


# --- fetching -------------------------------------------------------------------------------------


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
    assert reader.trail.steps == ["imap:fetch"]


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
        (),
        ("* 2 FETCH (UID 2)",),
        ("* 2 FETCH (UID 2 RFC822.SIZE 5 BODY[] NIL)",),
        ("* 2 FETCH (UID 2 RFC822.SIZE 5 BODY[] {0}\r\n)",),
    ],
    ids=["vanished", "no body", "nil", "empty"],
)
async def test_ok_without_the_bytes_is_an_error_and_nothing_is_given_past_it(
    reader: Reader, answer: tuple[str, ...]
) -> None:
    async def script(peer: Peer) -> None:
        await opened(peer, fact(1, 1), fact(2, 5), fact(3, 1))
        request = await peer.answer("UID FETCH", body(1, b"a"), *answer, body(3, b"c"))
        assert b"RFC822.SIZE" in request.line, "without its size an empty body could be an empty message"
        await peer.hang()

    given: list[int] = []
    async with reader.session(script) as session:
        if not answer:
            assert [message.uid for message in await fetched(session, range(1, 4))] == [1, 3]
            return
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


# --- searching, flags, copies ---------------------------------------------------------------------


async def test_a_large_mailbox_is_searched_in_windows(reader: Reader) -> None:
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=1_000_000, uidnext=1_000_001)
        while (request := await peer.receive()).name == "UID SEARCH":
            asked.append(request.line)
            found = "* SEARCH 7" if b" 1:50000 " in request.line else "* SEARCH"
            await peer.send(found, f"{request.tag} OK done")
        await peer.send("* BYE", f"{request.tag} OK")

    async with reader.session(script) as session:
        assert await session.find("INBOX", unseen=True, since=date(2026, 3, 2)) == (7,)
    assert len(asked) == 20
    assert asked[0].endswith(b"UID 1:50000 UNSEEN SINCE 2-Mar-2026")


async def test_sparse_numbers_do_not_make_endless_windows(reader: Reader) -> None:
    count = 0

    async def script(peer: Peer) -> None:
        nonlocal count
        await peer.log_in()
        await select(peer, exists=60_000, uidnext=4_000_000_000)
        while (request := await peer.receive()).name == "UID SEARCH":
            count += 1
            await peer.send(f"{request.tag} OK done")
        await peer.send("* BYE", f"{request.tag} OK")

    async with reader.session(script) as session:
        assert await session.find("INBOX", unseen=True) == ()
    assert count <= 64


async def test_refused_flags_end_nothing(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=1, uidnext=2)
        store = await peer.answer("UID STORE", status="NO [NOPERM] read only")
        assert store.line.endswith(b"+FLAGS.SILENT (\\Answered)")
        await noop(peer)
        await farewell(peer)

    async with reader.session(script) as session:
        await session.flag("INBOX", [1], ["\\Answered"])
        await session.status("INBOX")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("NO [TRYCREATE] no such mailbox", ServerCode.MAILBOX_MISSING),
        ("NO [OVERQUOTA] full", ServerCode.PROTOCOL_ERROR),
    ],
)
async def test_a_refused_copy_says_so_and_ends_nothing(reader: Reader, status: str, code: ServerCode) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1 LITERAL+")
        await peer.answer("APPEND", status=status)
        await select(peer, exists=0, uidnext=1)
        await farewell(peer)

    async with reader.session(script) as session:
        with pytest.raises(MailServerError) as caught:
            await session.append("Sent", b"A: b\r\n\r\n", ["\\Seen"])
        assert (caught.value.server_code, caught.value.temporary) == (code, False)
        await session.status("INBOX")


# --- waiting --------------------------------------------------------------------------------------


async def idle(peer: Peer, *announced: str) -> None:
    """Answer an IDLE to its end; what is announced comes at once."""
    command = await peer.expect("IDLE")
    await peer.send("+ idling", *announced)
    assert (await peer.receive()).line == b"DONE"
    await peer.send(f"{command.tag} OK done")


async def test_b2_idle_goes_on_through_what_is_not_news(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=2, uidnext=3)
        await idle(
            peer,
            "* OK still here",
            "* 1 FETCH (FLAGS (\\Seen))",
            "* 1 EXPUNGE",
            "* OK [ALERT] hm",
            "* 2 EXISTS",
        )
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert await session.wait("INBOX", 10) is True


async def test_an_announcement_during_another_command_is_not_forgotten(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=1, uidnext=2)
        await peer.answer("UID STORE", "* 2 EXISTS")
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        await session.flag("INBOX", [1], ["\\Answered"])
        assert await session.wait("INBOX", 10) is True


async def test_a_connection_that_died_silently_is_found_when_idle_ends(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        await peer.expect("IDLE")
        await peer.send("+ idling")
        await peer.hang()

    async with reader.session(script) as session:
        await session.status("INBOX")
        async with asyncio.timeout(5):
            with pytest.raises(MailServerError) as caught:
                await session.wait("INBOX", 0.1)
    assert caught.value.server_code is ServerCode.TIMEOUT


async def test_a_server_without_idle_is_polled_and_can_be_interrupted(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1")
        await select(peer, exists=0, uidnext=1)
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert session.pushes is False
        assert await session.wait("INBOX", 0.01) is False
        asyncio.get_running_loop().call_later(0.01, session.interrupt)
        async with asyncio.timeout(5):
            assert await session.wait("INBOX", 60) is True


async def test_a_server_that_refuses_idle_after_all_is_polled(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        await peer.answer("IDLE", status="BAD what?")
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert await session.wait("INBOX", 0.05) is False
        assert session.pushes is False
        assert await session.wait("INBOX", 0.01) is False


async def test_a_server_that_ends_every_idle_at_once_is_not_asked_for_ever(reader: Reader) -> None:
    idles = 0

    async def script(peer: Peer) -> None:
        nonlocal idles
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        while (request := await peer.receive()).name == "IDLE":
            idles += 1
            await peer.send("+ idling", f"{request.tag} OK enough")
        await peer.send("* BYE", f"{request.tag} OK")

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert await session.wait("INBOX", 0.3) is False
    assert 1 <= idles <= 3


@pytest.mark.parametrize(
    ("bye", "code", "after"),
    [
        ("* BYE shutting down", ServerCode.CONNECT_FAILED, None),
        (
            "* BYE Request is throttled. Suggested Backoff Time: 299961 milliseconds",
            ServerCode.THROTTLED,
            299.961,
        ),
    ],
)
async def test_a_bye_while_waiting_says_what_it_means(
    reader: Reader, bye: str, code: ServerCode, after: float | None
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        await peer.expect("IDLE")
        await peer.send("+ idling", bye)
        peer.writer.close()
        await peer.hang()

    async with reader.session(script) as session:
        await session.status("INBOX")
        with pytest.raises(MailServerError) as caught:
            await session.wait("INBOX", 10)
    assert (caught.value.server_code, caught.value.after) == (code, after)
