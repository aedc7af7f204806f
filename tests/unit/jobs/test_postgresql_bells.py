"""Bells among processes: who hears them, and what becomes of them when the database or a process goes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest

from postroom.core.clock import SystemClock
from postroom.core.model import Bell, BellKind
from postroom.jobs.postgresql import ROOM, PostgresBells
from postroom.jobs.postgresql_schema import check_bells, migrate_bells, scripts
from tests.support.databases import Cluster, postgresql  # noqa: F401 - fixture

DEADLINE = 20.0


@pytest.fixture
def url(postgresql: Cluster) -> str:  # noqa: F811 - the fixture imported above
    """A database made ready for bells."""
    made = postgresql.empty()
    asyncio.run(migrate_bells(made))
    return made


@asynccontextmanager
async def process(url: str) -> AsyncIterator[PostgresBells]:
    """The bells of one process."""
    bells = PostgresBells(url, SystemClock())
    try:
        yield bells
    finally:
        await bells.close()


class Hearer:
    """What one process has heard."""

    def __init__(self, bells: PostgresBells) -> None:
        self.ids: list[str] = []
        self._task = asyncio.create_task(self._hear(bells))

    async def _hear(self, bells: PostgresBells) -> None:
        async for bell in bells.heard():
            self.ids.append(bell.id)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)


def thread(number: int) -> Bell:
    return Bell(BellKind.THREAD, f"t{number}")


def jobs(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    assert row is not None
    return int(row[0])


async def test_what_a_process_without_workers_rings_is_heard_by_another_once(url: str) -> None:
    async with process(url) as api, process(url) as worker:
        for number in range(5):
            await api.ring(thread(number))
            await api.ring(thread(number))
        hearer = Hearer(worker)
        await until(lambda: len(hearer.ids) >= 5)
        await until(lambda: jobs(url) == 0)
        assert sorted(hearer.ids) == [f"t{number}" for number in range(5)]


async def test_a_process_that_hears_takes_its_own_bells_without_the_database(url: str) -> None:
    async with process(url) as worker:
        hearer = Hearer(worker)
        await asyncio.sleep(0)
        await worker.ring(thread(1))
        await until(lambda: hearer.ids == ["t1"])
        assert jobs(url) == 0


async def test_bells_of_accounts_stay_in_the_process(url: str) -> None:
    async with process(url) as api:
        await api.ring(Bell(BellKind.ACCOUNT, "a"))
        await api.ring(Bell(BellKind.SITE, "s"))
        assert jobs(url) == 0


async def test_more_than_a_process_has_room_for_goes_to_others(url: str) -> None:
    async with process(url) as busy, process(url) as idle:
        heard = busy.heard()

        async def hear_one() -> None:
            await anext(heard)

        first = asyncio.create_task(hear_one())
        await asyncio.sleep(0)
        for number in range(ROOM + 21):
            await busy.ring(thread(number))
        await first
        hearer = Hearer(idle)
        await until(lambda: len(hearer.ids) >= 1)


async def test_a_worker_whose_connections_are_cut_hears_again(url: str) -> None:
    async with process(url) as api, process(url) as worker:
        hearer = Hearer(worker)
        await api.ring(thread(1))
        await until(lambda: hearer.ids == ["t1"])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        number = 2

        async def rung_until_heard() -> None:
            nonlocal number
            while len(hearer.ids) < 2:  # a bell may be lost: what rings is rung again
                await api.ring(thread(number))
                number += 1
                await asyncio.sleep(0.2)

        async with asyncio.timeout(DEADLINE):
            await rung_until_heard()


async def test_a_ring_that_the_database_does_not_take_is_no_error(url: str) -> None:
    gone = url.replace("host=", "host=/nowhere")
    bells = PostgresBells(gone, SystemClock())
    async with asyncio.timeout(DEADLINE):
        await bells.ring(Bell(BellKind.THREAD, "later", SystemClock().now() + timedelta(hours=1)))
        await bells.close()


async def test_what_a_dead_process_had_taken_is_swept_from_the_table(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status, args)"
            " VALUES ('work', 'postroom.look', 'doing', '{\"kind\": \"thread\", \"id\": \"t1\"}')"
        )
    async with process(url) as worker:
        hearer = Hearer(worker)
        await until(lambda: jobs(url) == 0)
        assert hearer.ids == []


async def test_scripts_that_are_new_run_once_and_a_database_without_them_is_told(url: str) -> None:
    newest = list(scripts())[-1]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM bell_migrations WHERE name = %s", [newest])
    with pytest.raises(Exception, match="run postroom migrate"):
        await check_bells(url)
    await asyncio.gather(migrate_bells(url), migrate_bells(url))
    await check_bells(url)
