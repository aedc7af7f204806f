"""Mails that wait in a mailbox, how fast they are answered, and the floor for that."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.bare import BareImap, BareSmtp
from bench.letters import bare_reply, question
from bench.rig import PostfixCount, client_context, until
from tests.support.world import PASSWORD, World

PATIENCE = 300.0


async def floor_rate(world: World, address: str, mails: int) -> float:
    """Replies a second that a bare loop gets accepted: one pipelined fetch, one kept connection to submit."""
    await asyncio.to_thread(fill, world, address, mails)
    return await rate(world, mails, lambda: _bare_loop(world, address))


async def _bare_loop(world: World, address: str) -> None:
    context = client_context(world)
    imap = await BareImap.open(world.imaps, context, address, PASSWORD)
    smtp = await BareSmtp.open(world.smtps, context, address, PASSWORD)
    async for raw in imap.fetch("1:*"):
        recipient, reply = bare_reply(raw, address)
        await smtp.send(address, [recipient], reply)
    imap.close()
    smtp.close()


async def rate(world: World, mails: int, work: Callable[[], Awaitable[None]]) -> float:
    """Mails that Postfix accepted a second, from the beginning of the work to the last of them."""
    accepted = PostfixCount(world)
    begun = time.monotonic()
    await work()
    await until(lambda: accepted.now() >= mails, PATIENCE, f"the {mails}th reply")
    return mails / (time.monotonic() - begun)


def fill(world: World, address: str, mails: int) -> None:
    """Put so many questions into a mailbox."""
    world.deliver(address, question(0, address))
    world.fill(address, [question(number, address) for number in range(1, mails)])
