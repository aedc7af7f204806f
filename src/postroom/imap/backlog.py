"""Messages that arrived and are not taken yet. A slow taker holds the server back, not the memory."""

import asyncio
from collections import deque
from typing import Final

from postroom.imap.exchange import Exchange, Untagged
from postroom.imap.fetch import Fetched, FetchGathering
from postroom.imap.pace import Pace

HIGH_WATER: Final = 1 << 20
"""Bytes held for the taker before reading stops; it goes on when he has taken them."""


class Backlog:
    """What one FETCH brought, in order. Each response renews the deadline.

    Above HIGH_WATER reading pauses until somebody waits: the taker for more, or for another command's answer.
    """

    def __init__(self, pace: Pace, gathering: FetchGathering, seconds: float) -> None:
        self._pace = pace
        self._gathering = gathering
        self._seconds = seconds
        self._ready: deque[Fetched] = deque()
        self._held = 0
        self._holding = self._abandoned = False
        self._exchange: Exchange | None = None
        self._waiter: asyncio.Future[None] | None = None

    def claim(self, response: Untagged) -> bool:
        """An exchange.Claim."""
        found = self._gathering.take(response)
        if isinstance(found, Fetched):
            self._put(found)
        if found and self._exchange is not None and not self._exchange.finished.done():
            self._pace.expect(self._exchange, self._seconds)
        return found is not False

    def follow(self, exchange: Exchange) -> None:
        """The command that brings the responses."""
        self._exchange = exchange
        exchange.finished.add_done_callback(self._wake)

    async def next(self) -> Fetched | None:
        """The next message; None when the command has ended and all of its messages are taken."""
        assert self._exchange is not None
        while not self._ready:
            if self._exchange.finished.done():
                return None
            await self._wait()
        found = self._ready.popleft()
        self._held -= found.weight
        return found

    def abandon(self) -> None:
        """Nobody takes the rest: it is read and dropped."""
        self._abandoned = True
        self._ready.clear()
        if self._holding:
            self._go_on()

    def _put(self, found: Fetched) -> None:
        if self._abandoned:
            return
        self._ready.append(found)
        self._held += found.weight
        self._wake()
        if self._held > HIGH_WATER and not self._holding:
            self._holding = self._pace.hold(self._go_on)

    def _go_on(self) -> None:
        self._holding = False
        self._pace.go_on()

    async def _wait(self) -> None:
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        self._pace.wait_begins()
        try:
            await waiter
        finally:
            self._wait_is_over()

    def _wake(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
            self._wait_is_over()

    def _wait_is_over(self) -> None:
        if self._waiter is not None:
            self._waiter = None
            self._pace.wait_ends()
