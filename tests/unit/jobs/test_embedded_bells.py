"""What the bells in process promise beyond the port: equal bells merge, and nothing is left running."""

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from postroom.core.model import Bell, BellKind
from postroom.jobs.embedded import EmbeddedBells
from tests.support.clock import TestClock


async def _all_heard(bells: EmbeddedBells, clock: TestClock, span: float) -> list[Bell]:
    heard: list[Bell] = []

    async def listen() -> None:
        async for bell in bells.heard():
            heard.append(bell)  # noqa: PERF401 - what was heard must be kept when the task ends

    task = asyncio.create_task(listen())
    await clock.advance(span)
    await bells.close()
    await task
    return heard


async def test_equal_bells_that_wait_are_heard_once() -> None:
    clock = TestClock()
    bells = EmbeddedBells(clock)
    later = clock.now() + timedelta(seconds=5)
    for _ in range(100):
        await bells.ring(Bell(BellKind.THREAD, "t1"))
        await bells.ring(Bell(BellKind.THREAD, "t2", later))
    assert [bell.id for bell in await _all_heard(bells, clock, 10)] == ["t1", "t2"]


async def test_a_thread_and_a_submission_with_one_id_are_two_bells() -> None:
    clock = TestClock()
    bells = EmbeddedBells(clock)
    await bells.ring(Bell(BellKind.THREAD, "x"))
    await bells.ring(Bell(BellKind.SUBMISSION, "x"))
    assert len(await _all_heard(bells, clock, 0)) == 2


async def test_a_bell_for_now_does_not_swallow_the_one_for_later() -> None:
    clock = TestClock()
    bells = EmbeddedBells(clock)
    await bells.ring(Bell(BellKind.THREAD, "t1", clock.now() + timedelta(seconds=5)))
    await bells.ring(Bell(BellKind.THREAD, "t1"))
    assert [bell.id for bell in await _all_heard(bells, clock, 10)] == ["t1", "t1"]


async def test_a_cancelled_hearer_leaves_no_task_and_no_sleeper() -> None:
    clock = TestClock()
    bells = EmbeddedBells(clock)
    before = asyncio.all_tasks()
    await bells.ring(Bell(BellKind.ACCOUNT, "a1", clock.now() + timedelta(hours=1)))

    async def listen() -> None:
        async for _ in bells.heard():
            pass

    task = asyncio.create_task(listen())
    await clock.until_asleep()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert clock.sleepers == 0
    assert asyncio.all_tasks() == before


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), max_size=30))
def test_whatever_is_rung_is_heard_once_per_thing_and_time_and_never_early(
    rings: list[tuple[str, int]],
) -> None:
    async def run() -> None:
        clock = TestClock()
        start = clock.now()
        bells = EmbeddedBells(clock)
        heard: list[tuple[str, int]] = []

        async def listen() -> None:
            async for bell in bells.heard():
                assert bell.at is not None
                assert clock.now() >= bell.at
                heard.append((bell.id, int((bell.at - start).total_seconds())))

        task = asyncio.create_task(listen())
        for name, seconds in rings:
            await bells.ring(Bell(BellKind.THREAD, name, start + timedelta(seconds=seconds)))
        await clock.advance(60)
        await bells.close()
        await task
        assert sorted(heard) == sorted(set(rings))
        assert [seconds for _, seconds in heard] == sorted(seconds for _, seconds in heard)

    asyncio.run(run())
