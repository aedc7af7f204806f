"""Postroom as a library: an agent in Python, the service around it, and mail the program writes first."""

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar, overload

from postroom.agents.python import PythonAgent
from postroom.config import ConfigError, Settings, load
from postroom.core.agent import Answer, Attachment, Turn
from postroom.core.submission import Submission
from postroom.engine.compose import NewMail
from postroom.serve import serve
from postroom.service import DEFAULT_SITE, Service, opened

Function = TypeVar("Function", bound=Callable[[Turn], Awaitable[Answer | str]])


class Postroom:
    """One service with one agent in Python."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._agent: PythonAgent | None = None
        self._service: Service | None = None

    @classmethod
    def from_environment(cls) -> "Postroom":
        """As the environment and `.env` say. Ends the program with one clear line a fault."""
        try:
            return cls(load(os.environ, Path.cwd()))
        except ConfigError as exc:
            _leave(exc)

    @overload
    def agent(self, function: Function, /) -> Function: ...

    @overload
    def agent(self, *, attachments: Sequence[Attachment]) -> Callable[[Function], Function]: ...

    def agent(
        self,
        function: Callable[[Turn], Awaitable[Answer | str]] | None = None,
        /,
        *,
        attachments: Sequence[Attachment] = (),
    ) -> object:
        """Make an async function the agent: `@app.agent`, or `@app.agent(attachments=[…])` to add files to
        every answer (B8). Raises `InvalidInput` for a function that is not async or a file that is a path."""

        def register(given: Function) -> Function:
            self._agent = PythonAgent(given, attachments)
            return given

        return register if function is None else register(function)

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM. Ends the program with one clear line when it cannot start."""
        try:
            serve(self._settings, self._agent, started=self._started)
        except ConfigError as exc:
            _leave(exc)

    def _started(self, service: Service) -> None:
        self._service = service

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
        `idempotency_key` within 24 h gives the same submission and sends nothing again. Raises
        `InvalidInput` (a path as attachment, a bad address …), `NotFound`, `Conflict`, `TooLarge`.
        """
        mail = NewMail(
            to=_several(to),
            subject=subject,
            content=content,
            cc=_several(cc),
            bcc=_several(bcc),
            from_=from_,
            thread_id=thread_id,
            attachments=tuple(attachments),
        )
        if self._service is not None:
            return await _send(self._service, site_id, mail, idempotency_key)
        async with opened(self._settings, self._agent) as service:
            return await _send(service, site_id, mail, idempotency_key)


async def _send(service: Service, site_id: str, mail: NewMail, key: str | None) -> Submission:
    site = await service.accounts.get(site_id)
    if key is None:
        return await service.mailer.send(site, mail)
    return await service.mailer.send_once(site, mail, key)


def _several(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _leave(error: ConfigError) -> NoReturn:
    print("\n".join(error.lines), file=sys.stderr)  # noqa: T201 - the start's own message
    raise SystemExit(2) from None
