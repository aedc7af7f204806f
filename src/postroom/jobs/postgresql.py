"""Bells among many processes: procrastinate carries them over PostgreSQL (docs/decisions/0009).

A process that hears takes what it rings for now itself, as long as few bells wait: no round trip, and no load
on the database. The rest, and everything for later, goes through the database to whoever is free. Bells about
accounts and sites concern the one process that watches the account; they stay in the process, and others see
what changed with their next round (`engine.shares`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import psycopg
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.tasks import Task
from procrastinate.types import JSONDict

from postroom.core.model import Bell, BellKind
from postroom.core.ports import Clock
from postroom.jobs.embedded import EmbeddedBells

log = structlog.get_logger()

QUEUE: Final = "work"
TASK: Final = "postroom.look"
ROOM = 100
"""Bells that may wait in this process; more are left to others."""
POLL_SECONDS = 0.5
SEND_SECONDS = 5.0
CLOSE_TRIES = 5
AGAIN_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
_FAULTS = (ProcrastinateException, psycopg.Error, OSError, TimeoutError)

_WAITING = """
SELECT args->>'kind' AS kind, args->>'id' AS id FROM procrastinate_jobs
WHERE status = 'todo' AND queue_name = %(queue)s AND scheduled_at IS NULL AND args->>'id' = ANY(%(ids)s)
"""
# What a process had taken when it died. Only bells: whatever was due is rung for again by the sweep.
_LEFT_BEHIND = """
DELETE FROM procrastinate_jobs AS jobs WHERE queue_name = %(queue)s AND status <> 'todo'
AND NOT EXISTS (SELECT FROM procrastinate_workers AS workers WHERE workers.id = jobs.worker_id)
"""


class PostgresBells:
    """`core.ports.Bells` for many processes on one PostgreSQL. `url`: as libpq reads it."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._here = EmbeddedBells(clock)
        self._connector = PsycopgConnector(
            conninfo=url, min_size=1, max_size=4, timeout=10, kwargs={"connect_timeout": 10}
        )
        self._app = App(connector=self._connector)
        self._look: Task[Any, Any, Any] = self._app.task(name=TASK, queue=QUEUE)(self._heard_there)
        self._leaving: dict[tuple[BellKind, str, float], Bell] = {}
        self._sending = asyncio.Lock()
        self._hearer: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._room = asyncio.Event()
        self._closed = False

    async def ring(self, bell: Bell) -> None:
        """Let `bell` be heard here or elsewhere. What the database does not take is lost, and logged."""
        if self._closed:
            return
        if self._stays_here(bell):
            await self._here.ring(bell)
            return
        key = (bell.kind, bell.id, bell.at.timestamp() if bell.at else 0.0)
        self._leaving[key] = bell
        async with self._sending:
            if key in self._leaving:  # else it went with those who waited before
                await self._send()

    async def heard(self) -> AsyncIterator[Bell]:
        """Bells as they fall due, from this process and from the database, until `close`."""
        if self._hearer is None and not self._closed:
            self._hearer = asyncio.create_task(self._hear_there(), name="bells:hear")
        async for bell in self._here.heard():
            self._room.set()
            yield bell

    async def close(self) -> None:
        """End every `heard`; bells that wait here are dropped."""
        self._closed = True
        await self._here.close()
        self._room.set()
        if self._hearer is not None:
            await _end(self._hearer)
        async with self._opening:
            with suppress(*_FAULTS):
                await self._app.close_async()

    def _stays_here(self, bell: Bell) -> bool:
        if bell.kind in (BellKind.ACCOUNT, BellKind.SITE):
            return True
        now = bell.at is None or bell.at <= self._clock.now()
        return now and self._hearer is not None and self._here.waiting < ROOM

    # --- to the database ------------------------------------------------------------------------------

    async def _send(self) -> None:
        bells, self._leaving = list(self._leaving.values()), {}
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._open()
                await self._defer(bells)
        except _FAULTS as exc:
            log.warning("bells.lost", count=len(bells), fault=type(exc).__name__)

    async def _defer(self, bells: list[Bell]) -> None:
        now = self._clock.now()
        due = [bell for bell in bells if bell.at is None or bell.at <= now]
        waiting = await self._already_waiting(due)
        fresh: list[JSONDict] = [
            {"kind": b.kind.value, "id": b.id} for b in due if (b.kind.value, b.id) not in waiting
        ]
        if fresh:
            await self._look.batch_defer_async(*fresh)
        for bell in bells:
            if bell.at is not None and bell.at > now:
                later = self._look.configure(schedule_at=bell.at)
                await later.defer_async(kind=bell.kind.value, id=bell.id)

    async def _already_waiting(self, bells: list[Bell]) -> set[tuple[str, str]]:
        if not bells:
            return set()
        ids = [bell.id for bell in bells]
        rows = await self._connector.execute_query_all_async(_WAITING, queue=QUEUE, ids=ids)
        return {(row["kind"], row["id"]) for row in rows}

    async def _open(self) -> None:
        async with self._opening:
            if not self._closed:
                await self._app.open_async()

    # --- from the database ----------------------------------------------------------------------------

    async def _hear_there(self) -> None:
        """procrastinate's worker, begun again whenever it ends: it ends with its connection."""
        faults = 0
        while not self._closed:
            try:
                await self._open()
                await self._connector.execute_query_async(_LEFT_BEHIND, queue=QUEUE)
                began = self._clock.now()
                await self._app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=8,
                    fetch_job_polling_interval=POLL_SECONDS,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=0.1,
                )
                log.warning("bells.worker_ended")
                if (self._clock.now() - began).total_seconds() > AGAIN_SECONDS[-1]:
                    faults = 0
            except _FAULTS as exc:
                log.warning("bells.worker_died", fault=type(exc).__name__)
            except Exception:  # whatever it was: what is due stands in the rows
                log.exception("bells.worker_died")
            wait = AGAIN_SECONDS[min(faults, len(AGAIN_SECONDS) - 1)]
            faults += 1
            await asyncio.sleep(wait)

    async def _heard_there(self, kind: str, id: str) -> None:  # noqa: A002 - the name it is stored under
        """One bell out of the database. It waits for room, so that it is not taken from a process that has
        hands free."""
        while self._here.waiting >= ROOM and not self._closed:
            self._room.clear()
            await self._room.wait()
        await self._here.ring(Bell(BellKind(kind), id))


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel until it is over: a worker that is just starting may take the first time for a wish to stop."""
    for _ in range(CLOSE_TRIES):
        task.cancel()
        await asyncio.wait([task], timeout=1)
        if task.done():
            return
    log.warning("bells.slow_to_end")
