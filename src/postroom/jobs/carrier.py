"""procrastinate as the carrier of bells: a job holds a few of them and nothing else.

No lock, no queueing lock, no retry; a job is deleted once its bells were handed over. Whatever the library or
the database does, a bell is at worst lost, doubled or late.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Job
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from postroom.core.model import Bell, BellKind

log = structlog.get_logger()

QUEUE: Final = "work"
TASK: Final = "postroom.look"
BELLS_A_JOB = 16
"""Many bells cost little more than one; more in a job would keep them from others that have hands free."""

POLL_SECONDS = 0.5
SEND_SECONDS = 5.0
LONG_SECONDS = 30.0
"""After so long a worker's end is nothing that repeats itself."""

AGAIN_SECONDS = (0.5, 1.0, 2.0, 5.0)
FAULTS = (ProcrastinateException, psycopg.Error, OSError, TimeoutError)

# A connection that died without a word must not keep this process deaf.
_LIMITS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "options": "-c statement_timeout=10000",
    "application_name": "postroom bells",
}
# What a process had taken when it died. Only bells: the sweep rings again for whatever was due.
_LEFT_BEHIND = """
DELETE FROM procrastinate_jobs AS jobs WHERE queue_name = %(queue)s AND status <> 'todo'
AND NOT EXISTS (SELECT FROM procrastinate_workers AS workers WHERE workers.id = jobs.worker_id)
"""


class Carrier:
    """Takes bells to the database, and brings those that others took there. `url`: as libpq reads it;
    `hear`: awaited for the bells of a job; as long as it takes, no other job is fetched."""

    def __init__(self, url: str, hear: Callable[[Sequence[Bell]], Awaitable[None]]) -> None:
        given = conninfo_to_dict(url)
        limits = {name: value for name, value in _LIMITS.items() if name not in given}
        self._hear = hear
        self._connector = PsycopgConnector()
        self._pool = AsyncConnectionPool(
            url,
            kwargs=limits,
            open=False,
            min_size=1,
            max_size=4,
            timeout=SEND_SECONDS,
            reconnect_timeout=1,  # else the next try after an outage is as far away as that was long
            configure=_autocommit,
            check=AsyncConnectionPool.check_connection,
        )
        self._app = App(connector=self._connector)
        self._app.task(name=TASK, queue=QUEUE)(self._look)

    async def send(self, bells: Iterable[Bell]) -> None:
        """Store bells for whoever is free. What the database does not take is lost, and logged."""
        jobs = list(_jobs(bells))
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._open()
                await self._app.job_manager.batch_defer_jobs_async(jobs)
        except FAULTS as exc:
            log.warning("bells.lost", jobs=len(jobs), fault=type(exc).__name__)

    async def fetch(self) -> None:
        """Hear what others sent, until cancelled. procrastinate's worker ends with its connection, and is
        begun again each time, less often when it ends soon."""
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        ended_soon = 0
        while True:
            began = loop.time()
            try:
                await self._work()
                log.warning("bells.worker_ended")
            except FAULTS as exc:
                log.warning("bells.worker_ended", fault=type(exc).__name__)
            except Exception:  # whatever it was: what is due stands in the rows
                log.exception("bells.worker_ended")
            if task is not None and task.cancelling():  # the library let a fault take the wish's place
                return
            ended_soon = 0 if loop.time() - began > LONG_SECONDS else ended_soon + 1
            await asyncio.sleep(AGAIN_SECONDS[min(ended_soon, len(AGAIN_SECONDS)) - 1])

    async def close(self) -> None:
        """Close the connections."""
        with suppress(*FAULTS):
            await self._pool.close(timeout=1)

    async def _open(self) -> None:
        # Opened by us, not by the connector: that one waits for a connection, and gives up for ever.
        await self._pool.open(wait=False)
        await self._connector.open_async(self._pool)

    async def _work(self) -> None:
        await self._open()
        await self._connector.execute_query_async(_LEFT_BEHIND, queue=QUEUE)
        await self._app.run_worker_async(
            queues=[QUEUE],
            concurrency=1,
            fetch_job_polling_interval=POLL_SECONDS,
            delete_jobs="always",
            install_signal_handlers=False,
            shutdown_graceful_timeout=0.1,
        )

    async def _look(self, bells: list[Any]) -> None:
        await self._hear([bell for written in bells if (bell := _read(written))])


async def _autocommit(connection: psycopg.AsyncConnection[Any]) -> None:
    """Every call of procrastinate is one statement."""
    await connection.set_autocommit(True)


def _jobs(bells: Iterable[Bell]) -> Iterator[Job]:
    by_time: dict[datetime | None, list[Bell]] = {}
    for bell in bells:
        by_time.setdefault(bell.at, []).append(bell)
    for at, group in by_time.items():
        for start in range(0, len(group), BELLS_A_JOB):
            written: list[Any] = [_written(bell) for bell in group[start : start + BELLS_A_JOB]]
            yield Job(
                queue=QUEUE,
                lock=None,
                queueing_lock=None,
                task_name=TASK,
                task_kwargs={"bells": written},
                scheduled_at=at,
            )


def _written(bell: Bell) -> list[Any]:
    at = bell.at.timestamp() if bell.at else None
    return [bell.kind.value, bell.id, at, bell.site_id]


def _read(written: Any) -> Bell | None:
    """The bell, or None for one that another version of this program rang."""
    try:
        kind, thing, at, site_id, *_ = written
        return Bell(BellKind(kind), thing, datetime.fromtimestamp(at, UTC) if at else None, site_id)
    except (TypeError, ValueError):
        return None
