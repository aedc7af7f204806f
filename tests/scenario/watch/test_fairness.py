"""One hostile or huge account among fifty: the others' mail is answered all the same, while it lasts."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from postroom.core.agent import Answer, Turn
from postroom.engine.worker import AT_ONCE
from postroom.imap.wire import ClientCommand
from tests.scenario.watch.postbox import Postbox, Session
from tests.scenario.watch.rig import Rig, address_of, letter, open_rig, until
from tests.scenario.watch.test_large import huge
from tests.support.certificates import CertificateAuthority
from tests.support.fault_proxy import FaultProxy

OTHERS = 8


async def greeting_without_end(session: Session, command: ClientCommand) -> bool:
    while not session.peer.writer.is_closing():
        await session.peer.send_raw(b"* OK and then " * 100)
    return True


async def silence(session: Session, command: ClientCommand) -> bool:
    await session.peer.hang()
    return True


async def giant(session: Session, command: ClientCommand) -> bool:
    await session.say("* 1 FETCH (UID 1 BODY[] {8000000000}")
    while not session.peer.writer.is_closing():
        await session.peer.send_raw(b"x" * 65536)
    return True


async def chatter(session: Session, command: ClientCommand) -> bool:
    await session.say("+ idling")
    while not session.peer.writer.is_closing():
        await session.say(*["* OK still here"] * 100)
        await asyncio.sleep(0.005)  # 20,000 lines a second; this server runs on the loop of the test
    return True


async def billions(session: Session, command: ClientCommand) -> bool:
    await session.say("* SEARCH " + " ".join(map(str, range(1, 20_000))))
    await session.end(command)
    return True


HOSTILE = {
    "greeting without an end": {"greeting": greeting_without_end},
    "silence": {"greeting": silence},
    "silence at login": {"AUTHENTICATE": silence},
    "a giant literal": {"UID FETCH": giant},
    "chatter": {"IDLE": chatter},
    "a billion messages": {"UID SEARCH": billions},
}


@asynccontextmanager
async def fifty(rig: Rig, tls: ssl.SSLContext, number: int = OTHERS) -> AsyncIterator[dict[str, Postbox]]:
    """Well-behaved accounts, being watched."""
    async with AsyncExitStack() as stack:
        boxes = [await stack.enter_async_context(Postbox(tls)) for _ in range(number)]
        yield {await rig.watch(box.address[1]): box for box in boxes}


async def all_are_answered(rig: Rig, boxes: dict[str, Postbox], each: int = 2) -> None:
    """Mail for everybody, and everybody's answer."""
    for _ in range(each):
        for site, box in boxes.items():
            box.deliver(letter(site))
    await until(lambda: all(_answered(box, each) for box in boxes.values()))


def _answered(box: Postbox, number: int) -> bool:
    return sum("\\Answered" in mail.flags for mail in box.inbox.mails) >= number


@pytest.mark.parametrize("kind", HOSTILE)
async def test_others_are_answered_while_one_server_is_hostile(
    rig: Rig, tls: ssl.SSLContext, kind: str
) -> None:
    async with Postbox(tls) as hostile, fifty(rig, tls) as boxes:
        hostile.on |= HOSTILE[kind]
        if kind == "a billion messages":
            huge(hostile, 1_000_000_000)
        site = await rig.connect(hostile.address[1])
        await until(lambda: hostile.counts.connects)
        hostile.deliver(letter(site))
        await all_are_answered(rig, boxes)
        answers = [mail for mail in rig.sink.messages if mail.sender != address_of(site)]
        assert len(answers) == 2 * OTHERS


async def test_others_are_answered_while_one_server_sends_a_byte_a_second(
    rig: Rig, box: Postbox, tls: ssl.SSLContext
) -> None:
    async with FaultProxy(box.address) as proxy, fifty(rig, tls) as boxes:
        proxy.rate = 1.0
        await rig.connect(proxy.address[1])
        await until(lambda: proxy.connections)
        await all_are_answered(rig, boxes)
        assert not box.counts.logins


async def test_many_slow_servers_do_not_keep_the_others_from_connecting(
    rig: Rig, tls: ssl.SSLContext
) -> None:
    """More of them than connect at once."""
    async with Postbox(tls) as hostile:
        hostile.on["greeting"] = silence
        for _ in range(30):
            await rig.connect(hostile.address[1])
        await until(lambda: hostile.counts.connects >= 20)
        async with fifty(rig, tls, 3) as boxes:
            await all_are_answered(rig, boxes)


async def test_five_thousand_waiting_mails_of_one_site_leave_places_for_the_others(
    tmp_path: Path, authority: CertificateAuthority, tls: ssl.SSLContext
) -> None:
    """More than there are places, and an agent that thinks about them until the others are done."""
    thinking = asyncio.Event()
    waiting = 0

    async def agent(turn: Turn) -> Answer:
        nonlocal waiting
        if turn.site_id == "busy":
            waiting += 1
            await thinking.wait()
        return Answer("ok")

    async with open_rig(tmp_path, authority, agent=agent) as rig, Postbox(tls) as busy:
        await rig.connect(busy.address[1], "busy", caps={"newSendersPerHour": None})
        await rig.in_state("busy", "watching")
        for _ in range(AT_ONCE + 20):
            busy.deliver(letter("busy"))
        await until(lambda: waiting)
        async with fifty(rig, tls, 3) as boxes:
            await all_are_answered(rig, boxes)
            assert len(rig.sink.messages) == 6
            thinking.set()
            await rig.sent(AT_ONCE + 20 + 6)
