"""A language model as an agent: the conversation goes in, only its final text comes out."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
from pydantic_ai import Agent as Runner
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, ModelHTTPError, UserError
from pydantic_ai.messages import (
    ModelResponse,
    RetryFeedbackPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from postroom.agents.http import unreachable
from postroom.agents.llm_prompt import history, instructions, mail_data
from postroom.agents.retry_after import LONGEST
from postroom.core.agent import Answer, Turn
from postroom.core.answer import fit
from postroom.core.errors import AgentFailed, MailServerError

DEADLINE = 300.0
MAX_REQUESTS = 10
MAX_NOTE = 2000
_TRANSPORT = (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError)
_UNFINISHED = ("length", "content_filter", "error")


class LlmAgent:
    """Asks `model` with our rules and the owner's `instructions`. `deadline`: seconds for one answer.

    Only the final text is the answer; thinking, tool calls and text that comes with them are noted on the
    turn. A text that was cut off is no answer.
    """

    name = "llm"
    tries = 1

    def __init__(
        self, model: Model, owner_instructions: str | None = None, *, deadline: float = DEADLINE
    ) -> None:
        self._deadline = deadline
        # Retrying is the engine's, so that a server's wish for how long is heard.
        self._runner: Runner[object, Any] = Runner(
            model,
            output_type=str | None,  # type: ignore[arg-type]  # a union is a type form, not a type
            instructions=instructions(owner_instructions),
            model_settings=ModelSettings(max_retries=0),
        )

    async def answer(self, turn: Turn) -> Answer:
        """The model's final text; `Answer.nothing("empty_answer")` when it is empty. Raises `AgentFailed`."""
        try:
            async with asyncio.timeout(self._deadline):
                return fit(Answer(await self._final_text(turn)))
        except AgentFailed:
            raise
        except Exception as exc:
            raise _failure(exc) from exc

    async def _final_text(self, turn: Turn) -> str:
        limits = UsageLimits(request_limit=MAX_REQUESTS)
        async with self._runner.iter(
            mail_data(turn), message_history=history(turn), usage_limits=limits
        ) as run:
            async for node in run:
                for note in _notes(node):
                    turn.note(note[:MAX_NOTE])
        result = run.result
        if result is None or result.response.finish_reason in _UNFINISHED:
            raise AgentFailed("the model did not finish its answer", code="agent_answer_cut_off")
        return result.output or ""


def _notes(node: Any) -> Iterator[str]:
    """What happened at this step, besides the final text."""
    if Runner.is_call_tools_node(node):
        yield from _notes_of_response(node.model_response)
    elif Runner.is_model_request_node(node):
        for part in node.request.parts:
            if isinstance(part, ToolReturnPart):
                yield f"tool {part.tool_name} gave: {part.model_response_str()}"
            elif isinstance(part, RetryFeedbackPart):
                yield "the model was asked again"


def _notes_of_response(response: ModelResponse) -> Iterator[str]:
    calls_tools = any(isinstance(part, ToolCallPart) for part in response.parts)
    for part in response.parts:
        if isinstance(part, ThinkingPart) and part.content:
            yield f"thinking: {part.content}"
        elif isinstance(part, ToolCallPart):
            yield f"called tool {part.tool_name}: {part.args_as_json_str()}"
        elif isinstance(part, TextPart) and calls_tools and part.content:
            yield f"said on the way: {part.content}"


def _failure(exc: Exception) -> AgentFailed:
    """The failure without a word of what the model's server said, which may repeat the mail."""
    if refused := _found(exc, (MailServerError,)):
        return unreachable(refused)
    if isinstance(exc, ModelAPIError) and (status := _status(exc)):
        return _refusal(status, exc.retry_after)
    if isinstance(exc, ModelAPIError | TimeoutError):
        return unreachable(_found(exc, _TRANSPORT) or exc)
    if isinstance(exc, UserError):
        return AgentFailed("the model cannot be used as it is set up", code="agent_not_configured")
    if isinstance(exc, AgentRunError):
        told = f"the model gave no usable answer ({type(exc).__name__})"
        return AgentFailed(told, code="agent_answer_unreadable")
    return AgentFailed(f"asking the model failed ({type(exc).__name__})", temporary=True)


def _refusal(status: int, after: float | None) -> AgentFailed:
    told = f"the model's server answered {status}"
    after = None if after is None else min(after, LONGEST)
    if status == 429:
        return AgentFailed(told, code="agent_throttled", temporary=True, after=after)
    if status == 408 or status >= 500:
        return AgentFailed(told, code="agent_unavailable", temporary=True, after=after)
    hint = ": its key was not accepted" if status in (401, 403) else ""
    return AgentFailed(told + hint, code="agent_refused")


def _status(exc: ModelAPIError) -> int:
    if isinstance(exc, ModelHTTPError):
        return exc.status_code
    # A redirect reaches us only as the library's own error.
    return int(getattr(exc.__cause__, "status_code", 0) or 0)


def _found(exc: BaseException | None, kinds: tuple[type[BaseException], ...]) -> BaseException | None:
    """The first of these kinds among the causes."""
    while exc is not None and not isinstance(exc, kinds):
        exc = exc.__cause__ or exc.__context__
    return exc
