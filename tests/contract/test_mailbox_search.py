"""Searching large mailboxes, and what servers refuse: flags and copies."""

from datetime import date

import pytest

from postroom.core.errors import MailServerError, ServerCode
from tests.support.reading import Reader, farewell, noop, select
from tests.support.scripted_imap import Peer


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
