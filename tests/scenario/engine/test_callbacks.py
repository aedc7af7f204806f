"""C: answers that come by callback, as the engine sees them by its clock."""

import asyncio
from pathlib import Path

import pytest

from postroom.core.agent import Answer, Turn
from postroom.core.errors import Conflict
from postroom.core.model import MessageState
from tests.support.office import Office, mail, open_office


async def test_c_a_callback_that_overtakes_the_202_is_heard(tmp_path: Path) -> None:
    callbacks: list[asyncio.Task[None]] = []

    async def quick(turn: Turn) -> Answer:
        delivering = office.service.answerer.deliver(turn.id, turn.token, Answer("Already"))
        callbacks.append(asyncio.create_task(delivering))
        await office.clock.until_asleep(2)  # the callback waits, and so does the limit of this very call
        return Answer.later()

    async with open_office(tmp_path, quick) as office:
        taken = await office.arrive(mail())
        message = await office.work(taken)
        assert message.reason == "waiting_for_callback"
        await office.clock.advance(1)
        await callbacks[0]
        assert (await office.message(message.id)).state is MessageState.ANSWERED
        (answer,) = await office.answers()
        assert "Already" in answer.as_string()


async def test_c_a_callback_to_an_agent_that_never_says_later_is_refused(tmp_path: Path) -> None:
    refused: list[BaseException] = []

    async def wrong(turn: Turn) -> Answer:
        delivering = asyncio.create_task(office.service.answerer.deliver(turn.id, turn.token, Answer("Both")))
        while not delivering.done():
            await office.clock.until_asleep(2)
            await office.clock.advance(1)
            await asyncio.wait({delivering}, timeout=0.05)
        refused.append(delivering.exception() or AssertionError("it was taken"))
        return Answer("In the response")

    async with open_office(tmp_path, wrong) as office:
        message = await office.work(await office.arrive(mail()))
        assert message.state is MessageState.ANSWERED
        (error,) = refused
        assert isinstance(error, Conflict)
        assert error.code == "turn_is_running"
        (answer,) = await office.answers()
        assert "In the response" in answer.as_string()


async def test_c_a_callback_after_a_day_is_too_late(tmp_path: Path) -> None:
    turns: list[Turn] = []

    async def later(turn: Turn) -> Answer:
        turns.append(turn)
        return Answer.later()

    async with open_office(tmp_path, later) as office:
        taken = await office.arrive(mail())
        await office.work(taken)
        await office.clock.advance(24 * 3600 + 60)
        with pytest.raises(Conflict) as refused:
            await office.service.answerer.deliver(turns[0].id, turns[0].token, Answer("Too late"))
        assert refused.value.code == "turn_is_over"
        message = await office.work(taken)
        assert (message.state, message.reason) == (MessageState.FAILED, "callback_timeout")
        assert await office.answers() == []


async def test_an_agent_that_never_returns_is_asked_again_later(tmp_path: Path) -> None:
    async def never(turn: Turn) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async with open_office(tmp_path, never) as office:
        taken = await office.arrive(mail())
        working = asyncio.create_task(office.work(taken))
        await _until_given_up(office, working)
        message = await working
        assert (message.state, message.reason) == (MessageState.DUE, "agent_timeout")
        assert message.due_at is not None
        assert message.due_at > office.clock.now()


async def _until_given_up(office: Office, working: "asyncio.Task[object]") -> None:
    for _ in range(200):
        if working.done():
            return
        await office.clock.until_asleep()
        await office.clock.advance(9)  # the claim is renewed every ten seconds
        await asyncio.wait({working}, timeout=0.02)
    raise AssertionError("the agent is still waited for")
