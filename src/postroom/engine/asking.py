"""Asking the agent, and not for ever: an agent that never returns must not hold its conversation."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from postroom.core.agent import Answer
from postroom.core.errors import AgentFailed
from postroom.core.ports import Clock

AGENT_SECONDS = 600.0


async def in_time(
    asking: Coroutine[Any, Any, Answer], clock: Clock, seconds: float = AGENT_SECONDS
) -> Answer:
    """The agent's answer within `seconds` of the clock.

    Raises `AgentFailed` (temporary, `agent_timeout`) when it does not come. The agent is cancelled then and
    not waited for: one that does not heed it goes on by itself and what it says is not heard.
    """
    answering = asyncio.create_task(asking)
    limit = asyncio.create_task(clock.sleep(seconds))
    try:
        await asyncio.wait({answering, limit}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return _result(answering)
    finally:
        limit.cancel()
        if not answering.done():
            answering.cancel()
            answering.add_done_callback(_unheard)
    raise AgentFailed("the agent did not answer in time", code="agent_timeout", temporary=True)


def _result(answering: asyncio.Task[Answer]) -> Answer:
    if answering.cancelled():
        # By itself: whoever waits here was not cancelled.
        raise AgentFailed("the agent was cancelled", code="agent_raised")
    return answering.result()


def _unheard(late: asyncio.Task[Answer]) -> None:
    if not late.cancelled():
        late.exception()
