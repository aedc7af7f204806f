"""A process that takes in a mail, answers and sends it, and is killed at a step of its way.

python -m tests.support.dying DATABASE_URL STEP
"""

import asyncio
import os
import signal
import sys

from postroom.core.model import MessageState
from postroom.core.store import Settlement
from postroom.storage import open_store
from tests.support.stored import NOW, answer_to, claimed, later, message, outgoing, take_in


class Deadly:
    """`core.ports.Steps` that ends the process at one of them."""

    def __init__(self, last: str) -> None:
        self._last = last

    def reached(self, step: str) -> None:
        """Die there."""
        if step == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(url: str, last: str) -> None:
    """The way of one message."""
    async with open_store(url, Deadly(last)) as store:
        await take_in(store, message())
        work = await claimed(store)
        ended = Settlement(MessageState.ANSWERED, "", submission=answer_to(message()), sent=outgoing())
        await store.answering.settle(work.claim, ended)
        sending = await store.outbox.claim("sub_1", "worker", NOW, later(minutes=5))
        assert sending is not None
        await store.outbox.transmitting(sending.claim, NOW)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
