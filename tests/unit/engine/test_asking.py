"""An agent that never returns does not hold its conversation for ever."""

import asyncio

import pytest

from postroom.core.agent import Answer
from postroom.core.errors import AgentFailed
from postroom.engine.asking import AGENT_SECONDS, in_time
from tests.support.clock import TestClock


async def at_once() -> Answer:
    return Answer("here")


async def test_an_answer_in_time_is_given_and_nothing_is_left_behind() -> None:
    clock = TestClock()
    before = asyncio.all_tasks()
    assert (await in_time(at_once(), clock)).text == "here"
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_an_agent_that_never_returns_is_a_temporary_failure_and_is_cancelled() -> None:
    clock = TestClock()
    cancelled = asyncio.Event()

    async def never() -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    asking = asyncio.create_task(in_time(never(), clock))
    await clock.until_asleep()
    await clock.advance(AGENT_SECONDS - 1)
    assert not asking.done()
    await clock.advance(1)
    with pytest.raises(AgentFailed) as failed:
        await asking
    assert failed.value.code == "agent_timeout"
    assert failed.value.temporary
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_an_agent_that_does_not_heed_its_end_is_not_waited_for() -> None:
    clock = TestClock()
    go_on = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn() -> Answer:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        raise RuntimeError("nobody hears this")

    asking = asyncio.create_task(in_time(stubborn(), clock))
    await clock.until_asleep()
    await clock.advance(AGENT_SECONDS)
    with pytest.raises(AgentFailed):
        await asking
    go_on.set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_claim_that_is_lost_ends_the_agent_too() -> None:
    clock = TestClock()
    cancelled = asyncio.Event()

    async def never() -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    asking = asyncio.create_task(in_time(never(), clock))
    await clock.until_asleep()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_an_agent_that_cancels_itself_has_failed() -> None:
    async def gives_up() -> Answer:
        raise asyncio.CancelledError

    with pytest.raises(AgentFailed) as failed:
        await in_time(gives_up(), TestClock())
    assert not failed.value.temporary


async def test_what_the_agent_raises_is_passed_on() -> None:
    async def fails() -> Answer:
        raise AgentFailed("no", code="agent_refused")

    with pytest.raises(AgentFailed, match="no"):
        await in_time(fails(), TestClock())
