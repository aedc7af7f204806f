"""Bells within one process: what rings now in a queue, what rings later in a heap, and an event."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from heapq import heappop, heappush
from itertools import count

from postroom.core.model import Bell, BellKind
from postroom.core.ports import Clock


class EmbeddedBells:
    """`core.ports.Bells` for a single process.

    A bell that is due and not yet heard swallows further ones for the same thing; one for later is never
    heard early, nor swallowed by one for now. Several hearers share the bells: each is heard by one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[tuple[BellKind, str], Bell] = {}
        self._later: list[tuple[datetime, int, Bell]] = []
        self._order = count()
        self._changed = asyncio.Event()
        self._hungry = asyncio.Event()
        self._closed = False

    async def ring(self, bell: Bell) -> None:
        """Let `bell` be heard at `bell.at`; at once when that is None or past. A closed one drops it."""
        if self._closed:
            return
        if bell.at is None or bell.at <= self._clock.now():
            self._due.setdefault((bell.kind, bell.id), bell)
            self._hungry.clear()
        else:
            heappush(self._later, (bell.at, next(self._order), bell))
        self._changed.set()

    async def heard(self) -> AsyncIterator[Bell]:
        """Bells as they fall due, in the order in which they did, until `close`."""
        while not self._closed:
            self._collect_due()
            if self._due:
                self._hungry.clear()
                yield self._due.pop(next(iter(self._due)))
            else:
                self._hungry.set()
                await self._until_something_changes()

    async def hungry(self) -> None:
        """Return when nothing that is due waits and somebody listens for more."""
        await self._hungry.wait()

    def take_waiting(self, kinds: Collection[BellKind]) -> list[Bell]:
        """What of these kinds is due and was not heard yet; it is not heard here any more."""
        waiting = [key for key in self._due if key[0] in kinds]
        return [self._due.pop(key) for key in waiting]

    def _collect_due(self) -> None:
        now = self._clock.now()
        while self._later and self._later[0][0] <= now:
            _, _, bell = heappop(self._later)
            self._due.setdefault((bell.kind, bell.id), bell)

    async def _until_something_changes(self) -> None:
        self._changed.clear()
        if not self._later:
            await self._changed.wait()
            return
        seconds = (self._later[0][0] - self._clock.now()).total_seconds()
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        change = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((timer, change), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            change.cancel()
            await asyncio.wait((timer, change))

    async def close(self) -> None:
        """End every `heard`, and forget the bells that wait."""
        self._closed = True
        self._due.clear()
        self._later.clear()
        self._changed.set()
