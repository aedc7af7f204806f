"""An async Python function as an agent: loading it, calling it, and taking what it returns."""

import asyncio
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

from postroom.core.agent import Answer, Attachment, Turn
from postroom.core.answer import fit
from postroom.core.errors import AgentFailed, InvalidInput, PostroomError, invalid

AgentFunction = Callable[[Turn], Awaitable[Answer | str]]

_WHERE = "/agent"


class PythonAgent:
    """Wraps `function(turn) -> Answer | str`. `attachments` go with every answer that is mailed (B8).

    An exception of the function counts as a failure that is tried 3 times; its text may hold what a
    correspondent wrote, so only its type and the place in the code are told. A function that knows that
    waiting helps raises `AgentFailed(..., temporary=True)` itself. Raises `InvalidInput` when `function` is
    not async or `attachments` are not `Attachment`s.
    """

    tries = 3

    def __init__(
        self,
        function: Callable[..., Any],
        attachments: Sequence[Attachment] = (),
        name: str | None = None,
    ) -> None:
        self._function: AgentFunction = _async(function)
        self._attachments = _files(attachments, _WHERE + "/attachments")
        self.name = name or f"python:{_name_of(function)}"

    async def answer(self, turn: Turn) -> Answer:
        """What the function returns, as an `Answer`. Raises `AgentFailed`."""
        try:
            returned = await self._function(turn)
        except AgentFailed:
            raise
        except (Exception, SystemExit) as exc:  # sys.exit() in an agent must not end the service
            raise self._failed(exc, turn) from exc
        return self._with_files(_answer(returned))

    def _failed(self, exc: BaseException, turn: Turn) -> AgentFailed:
        error, place = type(exc).__name__, _place(exc)
        structlog.get_logger(__name__).warning(
            "agent_raised", error=error, place=place, turn_id=turn.id, site_id=turn.site_id
        )
        return AgentFailed(f"the agent raised {error}{place and f' at {place}'}", code="agent_raised")

    def _with_files(self, answer: Answer) -> Answer:
        if answer.kind != "text" or not self._attachments:
            return answer
        return Answer(answer.text, (*answer.attachments, *self._attachments))


def load(target: str) -> PythonAgent:
    """The agent that `target` ("pkg.module:function") names; the current directory is importable.

    Raises `InvalidInput` saying what is missing: the module, one that it imports, the name, the `async`.
    """
    module_name, colon, path = target.partition(":")
    if not (colon and path and all(part.isidentifier() for part in module_name.split("."))):
        raise invalid(_WHERE, "must be written python:pkg.module:function")
    _make_current_directory_importable()
    found: Any = _import(module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            raise invalid(_WHERE, f"the module {module_name} has no {path}")
        found = getattr(found, part)
    return PythonAgent(found, name=f"python:{target}")


def _make_current_directory_importable() -> None:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as exc:
        raise _missing(name, exc) from exc
    except (Exception, SystemExit) as exc:
        place = _place(exc)
        told = f"importing {name} raised {type(exc).__name__}{place and f' at {place}'}"
        raise invalid(_WHERE, told) from exc


def _missing(name: str, exc: ModuleNotFoundError) -> InvalidInput:
    missing = exc.name or ""
    if name == missing or name.startswith(f"{missing}."):
        return invalid(
            _WHERE, f"there is no module {missing}, neither installed nor in the current directory"
        )
    return invalid(_WHERE, f"the module {name} imports {missing}, which is not installed")


def _async(function: Callable[..., Any]) -> AgentFunction:
    plain = function.func if isinstance(function, partial) else function
    if not callable(plain):
        raise invalid(_WHERE, "must be an async function that takes a turn")
    call = plain if inspect.isroutine(plain) else getattr(plain, "__call__", plain)  # noqa: B004 - an object
    if not (asyncio.iscoroutinefunction(plain) or asyncio.iscoroutinefunction(call)):
        raise invalid(_WHERE, f"{_name_of(function)} must be async: write `async def answer(turn): ...`")
    return function


def _answer(returned: object) -> Answer:
    if isinstance(returned, str):
        return _checked(Answer(returned))
    if isinstance(returned, Answer):
        return _checked(returned)
    raise AgentFailed(
        f"the agent returned {type(returned).__name__}: "
        "it must return an Answer, a str, or Answer.nothing(reason)",
        code="agent_returned_no_answer",
    )


def _checked(answer: Answer) -> Answer:
    try:
        _files(answer.attachments, "/attachments")
    except PostroomError as exc:
        raise AgentFailed(exc.text, code="agent_returned_no_answer") from exc
    text: object = answer.text
    if not isinstance(text, str):
        told = f"the agent returned an Answer whose text is {type(text).__name__}, not str"
        raise AgentFailed(told, code="agent_returned_no_answer")
    return fit(answer)


def _files(attachments: object, where: str) -> tuple[Attachment, ...]:
    if isinstance(attachments, str | bytes) or not isinstance(attachments, Sequence):
        raise invalid(where, "must be a list of Attachment")
    for index, attachment in enumerate(attachments):
        if not isinstance(attachment, Attachment):
            raise invalid(f"{where}/{index}", f"must be an Attachment, not {type(attachment).__name__}")
    return tuple(attachments)


def _name_of(function: object) -> str:
    plain = function.func if isinstance(function, partial) else function
    return getattr(plain, "__qualname__", None) or type(plain).__qualname__


def _place(exc: BaseException) -> str:
    """File name and line of the fault in the agent's code; "" when it has none."""
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{Path(exc.filename).name}:{exc.lineno}"
    stack = traceback.extract_tb(exc.__traceback__)
    frames = [f for f in stack if f.filename != __file__ and not f.filename.startswith("<frozen")]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
