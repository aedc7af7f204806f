"""Bells among processes: who hears them, and what becomes of them when the database or a process goes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest

from postroom.core.clock import SystemClock
from postroom.core.model import Bell, BellKind
from postroom.jobs.postgresql import PostgresBells
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
        await bells.disconnect()


class Hearer:
    """What one process has heard. With `hands` it takes so many bells and then has none free."""

    def __init__(self, bells: PostgresBells, hands: int | None = None) -> None:
        self.heard: list[Bell] = []
        self._hands = hands
        self.task = asyncio.create_task(self._hear(bells))

    async def _hear(self, bells: PostgresBells) -> None:
        async for bell in bells.heard():
            self.heard.append(bell)
            if len(self.heard) == self._hands:
                await asyncio.Event().wait()

    @property
    def ids(self) -> list[str]:
        return [bell.id for bell in self.heard]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)


def thread(number: int) -> Bell:
    return Bell(BellKind.THREAD, f"t{number}")


def run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


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


async def test_many_bells_are_few_jobs(url: str) -> None:
    async with process(url) as api:
        for number in range(100):
            await api.ring(thread(number))
        await until(lambda: jobs(url) > 0)
        assert jobs(url) < 10


async def test_a_changed_site_is_told_to_a_worker_and_an_account_is_not(url: str) -> None:
    async with process(url) as api, process(url) as worker:
        hearer = Hearer(worker)
        await api.ring(Bell(BellKind.ACCOUNT, "a"))
        rung = Bell(BellKind.SITE, "s", site_id="s")
        await api.ring(rung)
        await until(lambda: len(hearer.heard) == 1)
        assert hearer.heard == [rung]


async def test_bells_of_accounts_and_sites_stay_in_a_process_that_hears(url: str) -> None:
    async with process(url) as busy, process(url) as idle:
        here, there = Hearer(busy, hands=1), Hearer(idle)
        await asyncio.sleep(0)
        rung = [thread(1), Bell(BellKind.ACCOUNT, "a"), Bell(BellKind.SITE, "s"), thread(2)]
        for bell in rung:
            await busy.ring(bell)
        await until(lambda: there.ids == ["t2"])
        assert here.ids == ["t1"]


async def test_what_a_busy_process_does_not_get_to_is_heard_by_an_idle_one(url: str) -> None:
    async with process(url) as busy, process(url) as idle:
        here, there = Hearer(busy, hands=1), Hearer(idle)
        await asyncio.sleep(0)
        for number in range(60):
            await busy.ring(thread(number))
        await until(lambda: len(there.ids) == 59)
        assert sorted(here.ids + there.ids) == sorted(f"t{number}" for number in range(60))


async def test_a_busy_process_takes_few_bells_from_others(url: str) -> None:
    async with process(url) as api, process(url) as busy:
        here = Hearer(busy, hands=1)
        for number in range(200):
            await api.ring(thread(number))
        await until(lambda: len(here.ids) == 1)
        async with process(url) as idle:
            there = Hearer(idle)
            await until(lambda: len(set(there.ids)) == 199)


async def test_who_stops_leaves_what_waits_and_what_is_rung_later_to_others(url: str) -> None:
    async with process(url) as leaving, process(url) as staying:
        here = Hearer(leaving, hands=1)
        await asyncio.sleep(0)
        for number in range(30):
            await leaving.ring(thread(number))
        await until(lambda: here.ids == ["t0"])
        await leaving.close()
        await leaving.ring(Bell(BellKind.SUBMISSION, "after"))
        there = Hearer(staying)
        await until(lambda: len(there.ids) == 30)
        assert set(there.ids) == {"after", *(f"t{number}" for number in range(1, 30))}


async def heard_by_one_that_stops(url: str, after: int) -> list[str]:
    async with process(url) as leaving:
        hearer = Hearer(leaving)
        await until(lambda: len(hearer.ids) >= after)
    return hearer.ids


async def test_what_is_on_its_way_to_a_process_that_stops_is_heard_by_another(url: str) -> None:
    """Each stops while it fetches: the library hands over what it fetched after it was told to end."""
    heard: list[str] = []
    async with process(url) as api:
        for round_ in range(10):
            for number in range(64):
                await api.ring(thread(100 * round_ + number))
            heard += await heard_by_one_that_stops(url, after=16)
        async with process(url) as staying:
            rest = Hearer(staying)
            await until(lambda: len({*heard, *rest.ids}) == 640)


async def test_a_bell_that_comes_early_waits_for_its_time(url: str) -> None:
    """The clocks of the database and of this process differ."""
    async with process(url) as api, process(url) as worker:
        at = SystemClock().now() + timedelta(seconds=2)
        await api.ring(Bell(BellKind.THREAD, "t1", at))
        await until(lambda: jobs(url) == 1)
        run(url, "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 hour'")
        hearer = Hearer(worker)
        await until(lambda: hearer.ids == ["t1"])
        assert SystemClock().now() >= at


async def test_jobs_of_other_versions_are_passed_by(url: str) -> None:
    known = '{"bells": [["gong", "g", null], 7, ["thread", "t1", null, "", 9]]}'
    unknown = '{"kind": "thread", "id": "t2"}'
    insert = "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES"
    run(url, f"{insert} ('work', 'postroom.look', '{known}'), ('work', 'postroom.look', '{unknown}')")
    run(url, f"{insert} ('work', 'postroom.gong', '{{}}')")
    async with process(url) as api, process(url) as worker:
        hearer = Hearer(worker)
        await api.ring(thread(3))
        await until(lambda: hearer.ids == ["t1", "t3"])
        await until(lambda: jobs(url) == 0)


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


async def test_what_an_older_library_has_installed_is_upgraded(postgresql: Cluster) -> None:  # noqa: F811 - the fixture
    url = postgresql.empty()
    *older, _, _, _ = scripts().items()
    run(
        url, "CREATE TABLE bell_migrations (name text PRIMARY KEY, ran_at timestamptz NOT NULL DEFAULT now())"
    )
    for name, script in older:
        run(url, script)
        run(url, f"INSERT INTO bell_migrations (name) VALUES ('{name}')")
    await migrate_bells(url)
    await check_bells(url)
    async with process(url) as api, process(url) as worker:
        hearer = Hearer(worker)
        await api.ring(thread(1))
        await until(lambda: hearer.ids == ["t1"])
