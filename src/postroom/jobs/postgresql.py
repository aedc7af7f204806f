"""Bells among many processes, over PostgreSQL (docs/decisions/0009).

A process that hears takes what it rings for now itself, as long as it has hands free: no round trip, and no
load on the database. What it does not get to at once, and everything for later, goes through the database to
whoever is free.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from postroom.core.model import Bell, BellKind
from postroom.core.ports import Clock
from postroom.jobs.carrier import Carrier
from postroom.jobs.embedded import EmbeddedBells

log = structlog.get_logger()

WORK = (BellKind.THREAD, BellKind.SUBMISSION)
LINGER_SECONDS = 0.5
"""For so long a bell waits for this process; then it is offered to all."""

LEAVING_LIMIT = 20_000
"""Bells on their way to the database; more are lost, and the sweep rings again."""

CLOSE_TRIES = 6


class PostgresBells:
    """`core.ports.Bells` for many processes on one PostgreSQL. `url`: as libpq reads it.

    `close` ends the hearing and leaves what waits to other processes; what is rung later still goes to them,
    until `disconnect`.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._here = EmbeddedBells(clock)
        self._carrier = Carrier(url, self._from_others)
        self._leaving: dict[tuple[BellKind, str, datetime | None], Bell] = {}
        self._sender: asyncio.Task[None] | None = None
        self._fetcher: asyncio.Task[None] | None = None
        self._offering: asyncio.TimerHandle | None = None
        self._closed = False

    async def ring(self, bell: Bell) -> None:
        """Let `bell` be heard here or elsewhere. Waits for nothing; raises nothing."""
        if self._hears and (bell.kind not in WORK or self._is_due(bell)):
            await self._here.ring(bell)
            self._offer_soon()
        elif bell.kind is not BellKind.ACCOUNT:  # who watches the account sees it with its next round
            self._send([bell])

    async def heard(self) -> AsyncIterator[Bell]:
        """Bells as they fall due, from this process and from others, until `close`."""
        if self._fetcher is None and not self._closed:
            self._fetcher = asyncio.create_task(self._carrier.fetch(), name="bells:fetch")
        async for bell in self._here.heard():
            yield bell

    async def close(self) -> None:
        """End every `heard`. What is due and waits here is left to others."""
        self._closed = True
        if self._offering is not None:
            self._offering.cancel()
        waiting = self._here.take_waiting(WORK)
        await self._here.close()
        if self._fetcher is not None:
            await _end(self._fetcher)
        self._send(waiting)  # not sooner: what fetches here would take it again

    async def disconnect(self) -> None:
        """Close, send what is on its way, and let the database go."""
        await self.close()
        if self._sender is not None:
            await asyncio.wait([self._sender])
        await self._carrier.close()

    @property
    def _hears(self) -> bool:
        return self._fetcher is not None and not self._closed

    def _is_due(self, bell: Bell) -> bool:
        return bell.at is None or bell.at <= self._clock.now()

    # --- to others ------------------------------------------------------------------------------------

    def _offer_soon(self) -> None:
        if self._offering is None:
            self._offering = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._offer)

    def _offer(self) -> None:
        """What still waits does so because all hands are busy: others may have one free."""
        self._offering = None
        self._send(self._here.take_waiting(WORK))

    def _send(self, bells: Sequence[Bell]) -> None:
        for bell in bells[: LEAVING_LIMIT - len(self._leaving)]:
            leaving = replace(bell, at=None) if self._is_due(bell) else bell
            self._leaving[(leaving.kind, leaving.id, leaving.at)] = leaving
        if self._leaving and (self._sender is None or self._sender.done()):
            self._sender = asyncio.create_task(self._send_all(), name="bells:send")

    async def _send_all(self) -> None:
        """One statement at a time: what is rung meanwhile goes with the next."""
        while self._leaving:
            bells, self._leaving = list(self._leaving.values()), {}
            await self._carrier.send(bells)

    # --- from others ----------------------------------------------------------------------------------

    async def _from_others(self, bells: Sequence[Bell]) -> None:
        """Returns when there are hands free again, so that nothing more is taken from others before.

        The library still hands over what it was fetching when it was told to end: that goes back to others.
        """
        if self._closed:
            self._send(bells)
            return
        for bell in bells:
            await self._here.ring(bell)
        self._offer_soon()
        await self._here.hungry()


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel until it is over: where the library waits for the database, one wish may be lost."""
    for _ in range(CLOSE_TRIES):
        task.cancel()
        await asyncio.wait([task], timeout=1)
        if task.done():
            return
    log.warning("bells.slow_to_end")
