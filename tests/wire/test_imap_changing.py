"""Flags, copies, counts and odd names: what is done to mailboxes, and what odd servers answer to it."""

from datetime import UTC, datetime

import pytest

from postroom.imap.client import Appended
from postroom.imap.errors import ImapInvalidArgument, ImapNo
from postroom.imap.uids import UidSet
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_imap import LiteralAnnounced, Peer
from tests.wire.imap_calls import conversation

MAIL = b"From: a@example.test\r\nSubject: x\r\n\r\n* 1 EXISTS\r\nP1 OK no, this is text\r\n"


async def test_flags_are_set_silently_and_by_uid(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        command = await peer.answer("UID STORE")
        assert command.args == ("7:9,12", "+FLAGS.SILENT", ("\\Answered", "$Forwarded"))
        command = await peer.answer("UID STORE")
        assert command.args == ("7", "-FLAGS.SILENT", ("\\Seen",))

    async with conversation(authority, script) as (client, server):
        await client.add_flags(UidSet.of([9, 12, 7, 8]), ["\\Answered", "$Forwarded"])
        await client.remove_flags(UidSet.of([7]), ["\\Seen"])
        with pytest.raises(ImapInvalidArgument):
            await client.add_flags(UidSet.of([7]), ["a b"])
        await server.finished()


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 LITERAL-", "IMAP4rev1 LITERAL+"])
@pytest.mark.parametrize("size", [10, 5_000, 200_000])
async def test_a_copy_is_stored(authority: CertificateAuthority, capabilities: str, size: int) -> None:
    mail = (b"x" * 78 + b"\r\n") * (size // 80 + 1)

    async def script(peer: Peer) -> None:
        await peer.log_in(capabilities)
        command = await peer.answer("APPEND", status="OK [APPENDUID 38505 3955] stored")
        flags, moment, message = command.args[1:]
        assert (flags, moment) == (("\\Seen",), b"02-Jan-2026 03:04:05 +0000")
        assert message == mail

    async with conversation(authority, script) as (client, server):
        received = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        where = await client.append("Sent", mail, ["\\Seen"], received)
        assert where == Appended(38505, 3955)
        await server.finished()


async def test_a_copy_refused_before_its_bytes_leaves_the_connection_good(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1")
        announced = await peer.next_event()
        assert announced == LiteralAnnounced(100_000, waits=True)
        peer._wire.discard()
        await peer.send("P2 NO [TOOBIG] too big")
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, server):
        with pytest.raises(ImapNo):
            await client.append("Sent", bytes([65]) * 100_000)
        await client.noop()
        assert b"AAAA" not in server.received


async def test_status_counts_a_mailbox_with_any_name(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        command = await peer.answer(
            "STATUS", "* STATUS {4}", "J\xf6rg (MESSAGES 3 unseen 1 UIDNEXT 44)".encode("latin-1")
        )
        assert command.args == (b"J&APY-rg", ("MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY"))

    async with conversation(authority, script) as (client, _):
        counts = await client.status("Jörg")
        assert (counts.messages, counts.unseen, counts.uidnext, counts.uidvalidity) == (3, 1, 44, None)


async def test_utf8_names_once_enabled(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1 ENABLE UTF8=ACCEPT")
        await peer.answer("ENABLE", "* ENABLED UTF8=ACCEPT")
        await peer.answer("LIST", '* LIST () "/" "Jörg & Co"')
        assert (await peer.answer("SELECT")).args == ("Jörg & Co".encode(),)

    async with conversation(authority, script) as (client, _):
        await client.enable("UTF8=ACCEPT")
        [mailbox] = await client.list()
        await client.select(mailbox.name)


async def test_namespaces_and_leaving(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1 NAMESPACE UNSELECT")
        await peer.answer("NAMESPACE", '* NAMESPACE (("INBOX." ".")) NIL (("Shared/" "/"))')
        await peer.answer("SELECT", "* 1 EXISTS")
        await peer.answer("UNSELECT")
        await peer.answer("LOGOUT", "* BYE bye")

    async with conversation(authority, script) as (client, server):
        [personal] = await client.namespaces()
        assert (personal.prefix, personal.delimiter) == ("INBOX.", ".")
        await client.select("INBOX")
        await client.unselect()
        assert client.selected is None
        await client.logout()
        assert not client.is_open
        await server.finished()
