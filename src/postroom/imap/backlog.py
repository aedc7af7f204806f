"""Messages that arrived and are not taken yet. A slow taker holds the server back, not the memory."""

import asyncio
from collections import deque
from typing import Final

from postroom.imap.connection import Connection
from postroom.imap.exchange import Exchange, Untagged
from postroom.imap.fetch import Fetched, FetchGathering

HIGH_WATER: Final = 1 << 20
"""Bytes held for the taker before reading stops; it goes on when half of them are taken."""


class Backlog:
    """What one FETCH brought, in order. Reading pauses above HIGH_WATER; a response renews the deadline."""

    def __init__(self, connection: Connection, gathering: FetchGathering, seconds: float) -> None:
        self._connection = connection
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
        if found and self._exchange is not None:
            self._renew(self._exchange)
        return found is not False

    def follow(self, exchange: Exchange) -> None:
        """The command that brings the responses."""
        self._exchange = exchange
        exchange.finished.add_done_callback(self._wake)
        self._renew(exchange)

    async def next(self) -> Fetched | None:
        """The next message; None when the command has ended and all of its messages are taken."""
        assert self._exchange is not None
        while not self._ready:
            if self._exchange.finished.done():
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        found = self._ready.popleft()
        self._held -= found.weight
        if self._held < HIGH_WATER // 2:
            self.release()
        return found

    def release(self) -> None:
        """Lets the server go on."""
        if self._holding:
            self._holding = False
            if self._exchange is not None and not self._exchange.finished.done():
                self._connection.expect(self._exchange, self._seconds)
            self._connection.link.resume()

    def abandon(self) -> None:
        """Nobody takes the rest: it is read and dropped."""
        self._abandoned = True
        self._ready.clear()
        self.release()

    def _put(self, found: Fetched) -> None:
        if self._abandoned:
            return
        self._ready.append(found)
        self._held += found.weight
        if self._held > HIGH_WATER and not self._holding:
            self._holding = True
            self._connection.link.pause()
        self._wake()

    def _renew(self, exchange: Exchange) -> None:
        if self._holding:
            exchange.expires = None
        elif not exchange.finished.done():
            self._connection.expect(exchange, self._seconds)

    def _wake(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
