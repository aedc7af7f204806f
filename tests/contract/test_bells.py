"""What every engine of bells promises (core.ports.Bells); run against each engine that can be had."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

import psycopg
import pytest

from postroom.core.clock import SystemClock
from postroom.core.model import Bell, BellKind
from postroom.core.ports import Bells, Clock
from postroom.jobs.opening import open_bells
from postroom.jobs.postgresql_schema import migrate_bells
from tests.support.clock import TestClock
from tests.support.databases import Cluster

DEADLINE = 20.0


class Time(Clock, Protocol):
    """The time by which bells fall due."""

    async def laid_up(self, bells: int) -> None:
        """Return when so many bells wait for later."""
        ...

    async def advance(self, seconds: float) -> None: ...


class OwnTime(TestClock):
    """The time of a process, which tests move."""

    async def laid_up(self, bells: int) -> None:
        await self.until_asleep()


class DatabaseTime(SystemClock):
    """The time of the database, which nobody can move: the bells in it are moved towards us instead."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self._ahead

    async def laid_up(self, bells: int) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            async with asyncio.timeout(DEADLINE):
                while await self._waiting(connection) < bells:  # noqa: ASYNC110 - the database tells nobody
                    await asyncio.sleep(0.02)

    async def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(
                "UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - make_interval(secs => %s)",
                [seconds],
            )

    async def _waiting(self, connection: psycopg.AsyncConnection) -> int:
        found = await connection.execute("SELECT FROM procrastinate_jobs WHERE scheduled_at IS NOT NULL")
        return found.rowcount


@pytest.fixture(scope="module")
def bell_database(postgresql: Cluster) -> str:
    """A database with nothing in it but what carries bells."""
    url = postgresql.empty()
    asyncio.run(migrate_bells(url))
    return url


@pytest.fixture(params=["embedded", "postgresql"])
def clock(request: pytest.FixtureRequest) -> Time:
    if request.param == "embedded":
        return OwnTime()
    url: str = request.getfixturevalue("bell_database")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
    return DatabaseTime(url)


@pytest.fixture
async def bells(request: pytest.FixtureRequest, clock: Time) -> AsyncIterator[Bells]:
    embedded = isinstance(clock, OwnTime)
    url = None if embedded else request.getfixturevalue("bell_database")
    async with open_bells(url, clock) as made:
        yield made


class Hearer:
    """Hears bells in a task of its own and lets a test wait for the n-th."""

    def __init__(self, bells: Bells) -> None:
        self.heard: list[Bell] = []
        self._more = asyncio.Event()
        self.task = asyncio.create_task(self._listen(bells))

    async def _listen(self, bells: Bells) -> None:
        async for bell in bells.heard():
            self.heard.append(bell)
            self._more.set()

    async def until(self, count: int) -> list[str]:
        """The ids heard, once there are at least `count`."""
        async with asyncio.timeout(DEADLINE):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()
        return self.ids

    async def more_here_or_at(self, other: "Hearer") -> None:
        """Return when either has heard something since the last call."""
        waits = [asyncio.create_task(hearer._more.wait()) for hearer in (self, other)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
        self._more.clear()
        other._more.clear()

    @property
    def ids(self) -> list[str]:
        return [bell.id for bell in self.heard]


@asynccontextmanager
async def hearing(bells: Bells) -> AsyncIterator[Hearer]:
    hearer = Hearer(bells)
    try:
        yield hearer
    finally:
        hearer.task.cancel()
        await asyncio.wait([hearer.task])


def bell(id: str, at: datetime | None = None, kind: BellKind = BellKind.THREAD) -> Bell:  # noqa: A002 - the field's name
    return Bell(kind, id, at)


async def test_a_bell_for_now_is_heard_as_it_was_rung(bells: Bells) -> None:
    rung = Bell(BellKind.SUBMISSION, "s1", site_id="acme")
    async with hearing(bells) as hearer:
        await bells.ring(rung)
        await hearer.until(1)
        assert hearer.heard == [rung]


async def test_a_bell_rung_before_anyone_listens_is_heard_later(bells: Bells) -> None:
    await bells.ring(bell("t1"))
    async with hearing(bells) as hearer:
        assert await hearer.until(1) == ["t1"]


async def test_a_bell_for_later_is_never_heard_early(bells: Bells, clock: Time) -> None:
    async with hearing(bells) as hearer:
        await bells.ring(bell("late", clock.now() + timedelta(seconds=60)))
        await bells.ring(bell("now"))
        assert await hearer.until(1) == ["now"]
        await clock.laid_up(1)
        await clock.advance(59.9)
        assert hearer.ids == ["now"]
        await clock.advance(0.2)
        assert await hearer.until(2) == ["now", "late"]


async def test_a_bell_of_the_past_is_heard_at_once(bells: Bells, clock: Time) -> None:
    async with hearing(bells) as hearer:
        await bells.ring(bell("overdue", clock.now() - timedelta(days=1)))
        assert await hearer.until(1) == ["overdue"]


async def test_bells_for_later_are_heard_in_the_order_of_their_times(bells: Bells, clock: Time) -> None:
    async with hearing(bells) as hearer:
        for seconds in (30, 10, 20):
            await bells.ring(bell(f"t{seconds}", clock.now() + timedelta(seconds=seconds)))
        await clock.laid_up(3)
        for count in (1, 2, 3):
            await clock.advance(10)
            await hearer.until(count)
        assert hearer.ids == ["t10", "t20", "t30"]


async def test_an_earlier_bell_is_not_held_up_by_a_later_one(bells: Bells, clock: Time) -> None:
    async with hearing(bells) as hearer:
        await bells.ring(bell("hour", clock.now() + timedelta(hours=1)))
        await clock.laid_up(1)
        await bells.ring(bell("minute", clock.now() + timedelta(minutes=1)))
        await clock.laid_up(2)
        await clock.advance(60)
        assert await hearer.until(1) == ["minute"]


async def test_a_bell_rung_again_after_it_was_heard_is_heard_again(bells: Bells) -> None:
    async with hearing(bells) as hearer:
        await bells.ring(bell("t1"))
        await hearer.until(1)
        await bells.ring(bell("t1"))
        assert await hearer.until(2) == ["t1", "t1"]


async def test_each_bell_is_heard_by_one_of_several_hearers(bells: Bells) -> None:
    async with hearing(bells) as one, hearing(bells) as two:
        await asyncio.sleep(0)
        for number in range(20):
            await bells.ring(bell(f"t{number}"))
        async with asyncio.timeout(DEADLINE):
            while len(one.heard) + len(two.heard) < 20:
                await one.more_here_or_at(two)
        assert sorted(one.ids + two.ids) == sorted(f"t{number}" for number in range(20))


async def test_close_ends_every_hearer_and_drops_what_waits(bells: Bells, clock: Time) -> None:
    async with hearing(bells) as one, hearing(bells) as two:
        await bells.ring(bell("late", clock.now() + timedelta(seconds=60)))
        await clock.laid_up(1)
        await bells.close()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(one.task, two.task)
        assert one.heard == two.heard == []
    await bells.ring(bell("after"))
    async with asyncio.timeout(DEADLINE):
        assert [b async for b in bells.heard()] == []


async def test_a_hearer_that_is_cancelled_leaves_the_bells_to_others(bells: Bells) -> None:
    async with hearing(bells) as first:
        await bells.ring(bell("t1"))
        await first.until(1)
    await bells.ring(bell("t2"))
    async with hearing(bells) as second:
        assert await second.until(1) == ["t2"]
