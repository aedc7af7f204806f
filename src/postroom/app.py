"""Postroom as a library: an agent in Python, the service around it, and mail the program writes first."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn, TypeVar, overload

from postroom.agents.python import PythonAgent
from postroom.config import ConfigError, Settings, load
from postroom.core.agent import Answer, Attachment, Turn
from postroom.core.errors import PostroomError, invalid
from postroom.core.submission import Submission
from postroom.engine.compose import NewMail
from postroom.serve import serve
from postroom.service import DEFAULT_SITE, Service, visiting

Function = TypeVar("Function", bound=Callable[[Turn], Awaitable[Answer | str]])
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Running:
    """The service while `run` serves, and the loop that it lives in."""

    service: Service
    loop: asyncio.AbstractEventLoop


class Postroom:
    """One service with one agent in Python."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._agent: PythonAgent | None = None
        self._running: _Running | None = None

    @classmethod
    def from_environment(cls) -> "Postroom":
        """As the environment and `.env` say. Ends the program with one clear line a fault (exit code 2)."""
        try:
            return cls(load(os.environ, Path.cwd()))
        except ConfigError as exc:
            _leave(exc)

    @overload
    def agent(self, function: Function, /) -> Function: ...

    @overload
    def agent(self, /, *, attachments: Sequence[Attachment]) -> Callable[[Function], Function]: ...

    def agent(
        self,
        function: Callable[[Turn], Awaitable[Answer | str]] | None = None,
        /,
        *,
        attachments: Sequence[Attachment] = (),
    ) -> object:
        """Make an async function the agent: `@app.agent`, or `@app.agent(attachments=[…])` to add files to
        every answer (B8). Raises `InvalidInput` for a function that is not async or a file that is a path."""
        files = _files(attachments)

        def register(given: Function) -> Function:
            self._agent = PythonAgent(given, files)
            return given

        return register if function is None else register(function)

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM. Ends the program with one clear line when it cannot start."""
        try:
            serve(self._settings, self._agent, started=self._started)
        except PostroomError as exc:
            _leave(exc)
        finally:
            self._running = None

    def _started(self, service: Service) -> None:
        self._running = _Running(service, asyncio.get_running_loop())

    async def send_message(
        self,
        to: str | Sequence[str],
        subject: str,
        content: str,
        *,
        site_id: str = DEFAULT_SITE,
        cc: str | Sequence[str] = (),
        bcc: str | Sequence[str] = (),
        from_: str | None = None,
        thread_id: str | None = None,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Submission:
        """Send a mail as the site: Markdown, with files from memory (B8).

        Gives the submission as it stands after at most 10 s: sent, or still queued. The same
        `idempotency_key` within 24 h gives the same submission and sends nothing again. Works while `run`
        serves, from any thread's loop, and without it. Raises `InvalidInput` (a path as attachment, a bad
        address …), `NotFound`, `Conflict`, `TooLarge`.
        """
        mail = NewMail(
            to=_several(to),
            subject=subject,
            content=content,
            cc=_several(cc),
            bcc=_several(bcc),
            from_=from_,
            thread_id=thread_id,
            attachments=_files(attachments),
        )
        if self._running is not None:
            return await _in_loop(self._running, _send(self._running.service, site_id, mail, idempotency_key))
        async with visiting(self._settings, self._agent) as service:
            return await _send(service, site_id, mail, idempotency_key)


async def _in_loop(running: _Running, work: Coroutine[Any, Any, T]) -> T:
    """Await the work in the loop of the service, whichever loop this is."""
    if running.loop is asyncio.get_running_loop():
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, running.loop))


async def _send(service: Service, site_id: str, mail: NewMail, key: str | None) -> Submission:
    site = await service.accounts.get(site_id)
    if key is None:
        return await service.mailer.send(site, mail)
    return await service.mailer.send_once(site, mail, key)


def _several(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _files(given: object) -> tuple[Attachment, ...]:
    """The attachments, each one truly an `Attachment`. Raises `InvalidInput` saying what to write instead."""
    if isinstance(given, str | bytes | PathLike | Attachment) or not isinstance(given, Sequence):
        raise invalid("/attachments", "must be a list of Attachment")
    for index, file in enumerate(given):
        where = f"/attachments/{index}"
        if isinstance(file, str | PathLike):
            raise invalid(where, "is a path: read the file and give Attachment(filename, content)")
        if not isinstance(file, Attachment):
            raise invalid(where, f"must be an Attachment, not {type(file).__name__}")
    return tuple(given)


def _leave(error: PostroomError) -> NoReturn:
    wrong_settings = isinstance(error, ConfigError)
    text = f"{error.text}. {error.hint}" if error.hint else error.text
    print(text, file=sys.stderr)  # noqa: T201 - the start's own message
    raise SystemExit(2 if wrong_settings else 1) from None
