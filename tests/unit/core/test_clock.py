"""The machine's clock, and the clock that tests move."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from postroom.core.clock import SystemClock
from tests.support.clock import START, TestClock


async def test_the_system_clock_is_in_utc_and_sleeps_at_least_as_long_as_asked() -> None:
    clock = SystemClock()
    before = datetime.now(UTC)
    started = asyncio.get_running_loop().time()
    await clock.sleep(0.02)
    await clock.sleep(-1)
    assert asyncio.get_running_loop().time() - started >= 0.019
    assert clock.now().utcoffset() == timedelta(0)
    assert before <= clock.now() <= datetime.now(UTC)


async def test_sleepers_wake_at_their_own_times_when_the_test_advances() -> None:
    clock = TestClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, (clock.now() - START).total_seconds()))

    tasks = [asyncio.create_task(sleeper("a", 10, 10)), asyncio.create_task(sleeper("b", 15))]
    await clock.until_asleep(2)
    await clock.advance(9)
    assert woken == []
    await clock.advance(20)
    assert woken == [("a", 10), ("b", 15), ("a", 20)]
    assert clock.now() == START + timedelta(seconds=29)
    await asyncio.gather(*tasks)


async def test_waiting_for_a_sleeper_that_never_comes_ends() -> None:
    with pytest.raises(TimeoutError):
        await TestClock().until_asleep(deadline=0.01)
