"""How a mailbox stands: nothing is missed, and nothing reported that cannot be fetched."""

import pytest

from postroom.adapters.mailbox.patience import Patience
from postroom.core.errors import MailServerError
from tests.support.certificates import CertificateAuthority
from tests.support.reading import Reader, body, fact, farewell, fetched, noop, select
from tests.support.scripted_imap import Peer


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
