"""Mailboxes and messages larger than anybody should have: time and memory stay within bounds."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from postroom.imap.tokens import as_text
from postroom.imap.wire import ClientCommand
from postroom.sandbox.imap_view import View
from tests.scenario.watch.postbox import Postbox, Session
from tests.scenario.watch.rig import Rig, letter, until

MEGABYTE = 1 << 20
MILLION = 1_000_000


def memory() -> int:
    """Bytes of memory that this process holds now."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


def huge(box: Postbox, number: int) -> None:
    """The server says that the inbox holds so many messages, all of them old."""
    box.inbox.uidnext = number + 1

    async def select(session: Session, command: ClientCommand) -> bool:
        if as_text(command.args[0]) != "INBOX":
            return False
        session.name, session.view = "INBOX", View(box.inbox, writable=True)
        await session.say(
            f"* {number} EXISTS",
            f"* OK [UIDVALIDITY {box.inbox.uidvalidity}] ok",
            f"* OK [UIDNEXT {box.inbox.uidnext}] ok",
            f"{command.tag} OK [READ-WRITE] open",
        )
        return True

    box.on["SELECT"] = select


async def test_a_mailbox_of_a_million_is_connected_in_10_seconds_and_50_megabytes(
    rig: Rig, box: Postbox
) -> None:
    huge(box, MILLION)
    before = memory()
    async with asyncio.timeout(10):
        site = await rig.watch(box.address[1])
    assert memory() - before < 50 * MEGABYTE
    assert box.counts.commands["UID SEARCH"] <= 64
    assert len(box.received) < 20_000
    box.deliver(letter(site))
    await rig.sent(1)


async def test_a_million_unread_ones_are_found_in_windows_and_held_within_bounds(
    rig: Rig, box: Postbox
) -> None:
    huge(box, MILLION)

    async def all_of_them(session: Session, command: ClientCommand) -> bool:
        if b"UNSEEN" not in command.line:
            return False
        low, _, high = as_text(command.args[1]).partition(":")
        await session.say(b"* SEARCH %b" % b" ".join(b"%d" % uid for uid in range(int(low), int(high) + 1)))
        await session.end(command)
        return True

    box.on["UID SEARCH"] = all_of_them
    before = memory()
    await rig.connect(box.address[1], start="unseen")
    await until(lambda: box.counts.commands["UID FETCH"])
    assert memory() - before < 150 * MEGABYTE


async def test_a_mailbox_that_says_it_holds_a_billion_is_believed_and_harms_nobody(
    rig: Rig, box: Postbox
) -> None:
    site = await rig.watch(box.address[1])
    before = memory()
    huge(box, 1_000_000_000)
    for session in tuple(box.sessions):
        await session.say("* 1000000000 EXISTS")
    box.deliver(letter(site))
    await rig.sent(1)
    assert memory() - before < 50 * MEGABYTE
    assert box.counts.commands["UID FETCH"] <= 4


async def test_a_literal_of_eight_billion_bytes_is_not_read(swift: Rig, box: Postbox) -> None:
    """RFC822.SIZE told a small number; the message comes with its headers, those after it as ever."""

    async def giant(session: Session, command: ClientCommand) -> bool:
        if b"BODY.PEEK[]" not in command.line or 2 not in {mail.uid for mail in session.chosen(command)}:
            return False
        await session.say("* 2 FETCH (UID 2 RFC822.SIZE 500 BODY[] {8000000000}")
        while not session.peer.writer.is_closing():
            await session.peer.send_raw(b"x" * 65536)
        return True

    site = await swift.watch(box.address[1])
    before = memory()
    box.on["UID FETCH"] = giant
    for _ in range(3):
        box.deliver(letter(site), received_at=swift.clock.now())
    await swift.sent(2)
    (kept,) = await swift.arrived(site, 1, state="held")
    assert kept.reason == "oversize"
    assert kept.sender is not None
    assert memory() - before < 100 * MEGABYTE


async def test_a_mail_above_the_cap_comes_as_its_headers(rig: Rig, box: Postbox) -> None:
    async def sizes(session: Session, command: ClientCommand) -> bool:
        if b"RFC822.SIZE" not in command.line or b"BODY" in command.line:
            return False
        when = datetime.now(UTC).strftime("%d-%b-%Y %H:%M:%S +0000")
        for mail in session.chosen(command):
            size = 8_000_000_000 if mail.uid == 1 else len(mail.raw)
            facts = f'UID {mail.uid} FLAGS () INTERNALDATE "{when}" RFC822.SIZE {size}'
            await session.say(f"* {mail.uid} FETCH ({facts})")
        await session.end(command)
        return True

    site = await rig.watch(box.address[1])
    box.on["UID FETCH"] = sizes
    box.deliver(letter(site))
    box.deliver(letter(site))
    await rig.sent(1)
    (kept,) = await rig.arrived(site, 1, state="held")
    assert (kept.reason, kept.size) == ("oversize", 8_000_000_000)


async def test_a_list_without_an_end_is_not_gathered(swift: Rig, box: Postbox) -> None:
    async def endless(session: Session, command: ClientCommand) -> bool:
        if b":*" not in command.line:
            return False
        uid = box.inbox.uidnext
        while not session.peer.writer.is_closing():
            lines = (f"* {n} FETCH (UID {n} FLAGS () RFC822.SIZE 9)" for n in range(uid, uid + 1000))
            await session.say(*lines)
            uid += 1000
        return True

    await swift.watch(box.address[1])
    before = memory()
    box.on["UID FETCH"] = endless
    for session in tuple(box.sessions):
        await session.say("* 5 EXISTS")
    await until(lambda: box.counts.connects > 1)
    assert memory() - before < 100 * MEGABYTE
