"""Reading mail: mailboxes, messages, searches, flags, copies, and what odd servers answer to them."""

import asyncio
from contextlib import aclosing
from datetime import date, datetime, timedelta, timezone

import pytest

from postroom.imap import search
from postroom.imap.errors import ImapInvalidArgument, ImapNo, ImapNoBody
from postroom.imap.fetch import GMAIL_ITEMS, Fetched, FetchItem
from postroom.imap.roles import Role, find_roles
from postroom.imap.uids import UidSet
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_imap import Peer
from tests.wire.imap_calls import conversation, fetched, take_all

MAIL = b"From: a@example.test\r\nSubject: x\r\n\r\n* 1 EXISTS\r\nP1 OK no, this is text\r\n"


def literal(data: bytes) -> bytes:
    return b"{%d}\r\n%s" % (len(data), data)


async def test_select_tells_how_the_mailbox_stands(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        command = await peer.answer(
            "SELECT",
            r"* FLAGS (\Answered \Seen)",
            r"* OK [PERMANENTFLAGS (\Answered \Seen \*)] ok",
            "* 172 EXISTS",
            "* 1 RECENT",
            "* OK [UIDVALIDITY 3857529045] valid",
            "* OK [UIDNEXT 4392] next",
            "* OK [HIGHESTMODSEQ 715194045007] high",
            status="OK [READ-WRITE] done",
        )
        assert command.args == (b"INBOX",)
        await peer.answer("EXAMINE", "* 0 exists", status="OK [READ-ONLY] done")

    async with conversation(authority, script) as (client, _):
        opened = await client.select("inbox")
        assert (opened.exists, opened.uidvalidity, opened.uidnext) == (172, 3857529045, 4392)
        assert opened.highestmodseq == 715194045007
        assert opened.permanent_flags == {"\\Answered", "\\Seen", "\\*"}
        assert not opened.read_only
        looked = await client.examine("Other")
        assert (looked.exists, looked.uidvalidity, looked.read_only) == (0, None, True)


async def test_a_mailbox_that_is_missing_is_a_no(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer("SELECT", status="NO [NONEXISTENT] Unknown Mailbox: Leads")
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        with pytest.raises(ImapNo) as failure:
            await client.select("Leads")
        assert failure.value.code is not None
        assert failure.value.code.name == "NONEXISTENT"
        assert client.selected is None
        await client.noop()


async def test_roles_by_attribute_then_by_name_in_any_language(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1 SPECIAL-USE LIST-EXTENDED")
        await peer.answer(
            "LIST",
            r'* LIST (\HasNoChildren) "/" INBOX',
            r'* LIST (\HasNoChildren) "/" Sent',
            r'* LIST (\HasNoChildren \Sent) "/" {9}',
            "My Outbox",
            r'* LIST () "/" "Entw&APw-rfe"',
            r'* LIST () NIL "&BCEEPwQwBDw-"',
            r'* LIST () "/" "Work/Archive"',
            r'* LIST (\Noselect) "/" Trash',
        )
        await peer.answer("SELECT", "* 0 EXISTS")
        command = await peer.answer("SELECT", "* 0 EXISTS")
        assert command.args == (b"Entw&APw-rfe",)

    async with conversation(authority, script) as (client, _):
        mailboxes = await client.list()
        assert [each.name for each in mailboxes][2:5] == ["My Outbox", "Entwürfe", "Спам"]
        assert find_roles(mailboxes) == {
            Role.INBOX: "INBOX",
            Role.SENT: "My Outbox",
            Role.DRAFTS: "Entwürfe",
            Role.JUNK: "Спам",
            Role.ARCHIVE: "Work/Archive",
        }
        await client.select("My Outbox")
        await client.select("Entwürfe")


async def test_a_name_that_the_server_spells_oddly_can_be_opened(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer("LIST", '* LIST () "." "R&D"', '* LIST () "." "Caf\xe9"'.encode("latin-1"))
        assert (await peer.answer("SELECT")).args == (b"R&D",)
        assert (await peer.answer("SELECT")).args == ("Caf\xe9".encode("latin-1"),)

    async with conversation(authority, script) as (client, _):
        assert [each.name for each in await client.list()] == ["R&D", "Café"]
        await client.select("R&D")
        await client.select("Café")


async def test_names_with_control_characters_are_left_out_and_refused(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer("LIST", '* LIST () "/" {7}', "In\r\nbox", '* LIST () "/" Good')
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, server):
        assert [each.name for each in await client.list()] == ["Good"]
        for name in ("In\r\nbox", "a\0b", "", "a\u2028b", "\ud800"):
            with pytest.raises(ImapInvalidArgument):
                await client.select(name)
        await client.noop()
        assert b"SELECT" not in server.received


async def test_messages_come_with_everything_that_was_asked(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        command = await peer.answer(
            "UID FETCH",
            rb'* 1 FETCH (UID 7 FLAGS (\Seen $Junk) INTERNALDATE " 2-Oct-2016 17:28:25 -0400"'
            + b" RFC822.SIZE %d BODY[] " % len(MAIL)
            + literal(MAIL)
            + b")",
        )
        assert command.args[0] == "7"
        assert command.args[1] == ("UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]")

    items = (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.SIZE, FetchItem.BODY)
    async with conversation(authority, script) as (client, _):
        [message] = await fetched(client, UidSet.of([7]), *items)
        assert message.body == MAIL
        assert message.flags == frozenset({"\\Seen", "$Junk"})
        eastern = timezone(timedelta(hours=-4))
        assert message.internaldate == datetime(2016, 10, 2, 17, 28, 25, tzinfo=eastern)
        assert message.size == len(MAIL)


async def test_a_message_may_come_in_pieces_among_flag_changes(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer(
            "UID FETCH",
            r"* 2 FETCH (UID 8 FLAGS (\Seen))",
            r"* 9 FETCH (FLAGS (\Deleted))",
            "* 10 EXISTS",
            b"* 1 FETCH (BODY[] " + literal(b"one") + b" UID 7)",
            "* 1 FETCH (UID 7 FLAGS ())",
            b'* 2 FETCH (UID 8 BODY[] "two")',
            r"* 1 FETCH (UID 7 FLAGS (\Seen))",
        )

    async with conversation(authority, script) as (client, _):
        messages = await fetched(client, UidSet.starting_at(7), FetchItem.FLAGS, FetchItem.BODY)
        assert [(each.uid, each.body, each.flags) for each in messages] == [
            (7, b"one", frozenset()),
            (8, b"two", frozenset({"\\Seen"})),
        ]
        assert client.changes().exists == 10


async def test_a_uid_below_the_range_is_not_given(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        command = await peer.answer("UID FETCH", "* 5 FETCH (UID 100 FLAGS ())")
        assert command.args[0] == "101:*"

    async with conversation(authority, script) as (client, _):
        assert await fetched(client, UidSet.starting_at(101), FetchItem.FLAGS) == []


async def test_expunged_messages_are_simply_missing(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        status = "NO [EXPUNGEISSUED] Some of the requested messages no longer exist"
        await peer.answer("UID FETCH", '* 2 FETCH (UID 8 BODY[] "two")', status=status)
        await peer.answer("UID STORE", status=status)
        await peer.answer("UID FETCH")

    async with conversation(authority, script) as (client, _):
        messages = await fetched(client, UidSet.of([7, 8, 9]), FetchItem.BODY)
        assert [each.uid for each in messages] == [8]
        await client.add_flags(UidSet.of([7]), ["\\Answered"])
        assert await fetched(client, UidSet.of([7]), FetchItem.BODY) == []


@pytest.mark.parametrize("body", ["", "BODY[] NIL", 'BODY[] ""', "BODY[] {0}\r\n"])
async def test_ok_without_a_body_is_no_empty_mail(authority: CertificateAuthority, body: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer(
            "UID FETCH",
            '* 1 FETCH (UID 7 RFC822.SIZE 3 BODY[] "one")',
            f"* 2 FETCH (UID 8 RFC822.SIZE 99 {body})",
        )
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        seen: list[Fetched] = []
        with pytest.raises(ImapNoBody) as failure:
            await take_all(client, UidSet.of([7, 8]), [FetchItem.SIZE, FetchItem.BODY], seen)
        assert [message.uid for message in seen] == [7]
        assert failure.value.uids == (8,)
        await client.noop()


async def test_an_empty_message_is_a_message(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer("UID FETCH", "* 1 FETCH (UID 7 RFC822.SIZE 0 BODY[] {0}", ")")

    async with conversation(authority, script) as (client, _):
        [message] = await fetched(client, UidSet.of([7]), FetchItem.SIZE, FetchItem.BODY)
        assert message.body == b""


async def test_gmail_tells_ids_and_labels(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1 X-GM-EXT-1")
        await peer.answer(
            "UID FETCH",
            r"* 1 FETCH (X-GM-THRID 1266894439832287888 X-GM-MSGID 1278455344230334865"
            r' X-GM-LABELS (\Inbox \Sent Important "Caf&AOk-") UID 7)',
        )

    async with conversation(authority, script) as (client, _):
        [message] = await fetched(client, UidSet.of([7]), *GMAIL_ITEMS)
        assert message.gmail_id == 1278455344230334865
        assert message.gmail_thread == 1266894439832287888
        assert message.gmail_labels == ("\\Inbox", "\\Sent", "Important", "Café")


async def test_many_fetch_lines_in_one_answer(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        lines = [f"* {number} FETCH (UID {number} FLAGS (\\Seen))" for number in range(1, 3006)]
        await peer.answer("UID FETCH", *lines)

    async with conversation(authority, script) as (client, _):
        messages = await fetched(client, UidSet.starting_at(1), FetchItem.FLAGS)
        assert [each.uid for each in messages] == list(range(1, 3006))


async def test_a_slow_taker_holds_the_server_back(authority: CertificateAuthority) -> None:
    big, count = bytes(1 << 20), 40
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.log_in()
        command = await peer.expect("UID FETCH")
        for uid in range(1, count + 1):
            await peer.send(b"* %d FETCH (UID %d BODY[] " % (uid, uid) + literal(big) + b")")
            sent = uid
        await peer.send(f"{command.tag} OK done")
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        async with aclosing(client.uid_fetch(UidSet.starting_at(1), [FetchItem.BODY], len(big))) as messages:
            first = await anext(messages)
            assert first.body == big
            ahead = -1
            while ahead < sent:
                ahead = sent
                await asyncio.sleep(0.1)
            uids = [each.uid async for each in messages]
        assert ahead < count // 2
        assert uids == list(range(2, count + 1))
        await client.noop()


async def test_a_fetch_may_be_left_early(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        lines = [
            b"* %d FETCH (UID %d BODY[] " % (n, n) + literal(bytes(300_000)) + b")" for n in range(1, 21)
        ]
        await peer.answer("UID FETCH", *lines)
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        async with aclosing(client.uid_fetch(UidSet.starting_at(1), [FetchItem.BODY], 300_000)) as messages:
            assert (await anext(messages)).uid == 1
        await client.noop()


async def test_searches_find_uids(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        command = await peer.answer("UID SEARCH", "* SEARCH 4 2 9 (MODSEQ 12)")
        assert command.args == ("UID", "1:500", "UNSEEN", "SINCE", "2-Oct-2016")
        command = await peer.answer("UID SEARCH", f'* ESEARCH (TAG "{command.tag}") UID MIN 1 ALL 2,10:12')
        assert command.args == ("HEADER", b"Message-ID", b'a"b@example.test')
        command = await peer.answer("UID SEARCH", "* SEARCH")
        assert command.args == ("CHARSET", "UTF-8", "HEADER", b"Subject", "Zoë".encode())

    async with conversation(authority, script) as (client, _):
        keys = (search.within(UidSet.spanning([(1, 500)])), search.UNSEEN, search.since(date(2016, 10, 2)))
        assert list(await client.uid_search(*keys)) == [2, 4, 9]
        assert list(await client.uid_search(search.header("Message-ID", 'a"b@example.test'))) == [
            2,
            10,
            11,
            12,
        ]
        assert list(await client.uid_search(search.header("Subject", "Zoë"))) == []


async def test_a_search_line_of_a_huge_mailbox_is_read(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer(
            "UID SEARCH", b"* SEARCH " + b" ".join(b"%d" % n for n in range(1_000_000, 1_300_000))
        )

    async with conversation(authority, script) as (client, _):
        found = await client.uid_search(search.ALL)
        assert (len(found), found[0], found[-1]) == (300_000, 1_000_000, 1_299_999)
