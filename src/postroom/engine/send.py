"""Agents and callers write first: a mail becomes a submission, and is tried at once (A4, B8)."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import structlog

from postroom.core.errors import Conflict, NotFound
from postroom.core.model import Bell, BellKind, Site
from postroom.core.ports import Bells, Clock
from postroom.core.registry import Things
from postroom.core.submission import Submission, SubmissionStatus
from postroom.engine.answer import answering_now
from postroom.engine.compose import Composer, NewMail
from postroom.engine.drafting import addresses
from postroom.engine.idempotency import Idempotent, body_hash
from postroom.engine.submit import Submitter
from postroom.mail.address import normalise

log = structlog.get_logger()

WAIT_SECONDS = 10.0
_Attempt = Coroutine[Any, Any, Submission | None]


class Mailer:
    """Sends mail in a site's name."""

    def __init__(
        self,
        composer: Composer,
        submitter: Submitter,
        things: Things,
        idempotent: Idempotent,
        bells: Bells,
        clock: Clock,
    ) -> None:
        self._composer = composer
        self._submitter = submitter
        self._things = things
        self._idempotent = idempotent
        self._bells = bells
        self._clock = clock
        self._running: set[asyncio.Task[Submission | None]] = set()

    async def send(
        self,
        site: Site,
        mail: NewMail,
        *,
        submission_id: str | None = None,
        wait: float = WAIT_SECONDS,
    ) -> Submission:
        """Store the mail and try it; gives the submission as it stands after at most `wait` seconds.

        A `submission_id` that exists already is not written again. Raises `InvalidInput`, `TooLarge`, and
        `Conflict` when the running agent writes to the very person that its answer goes to.
        """
        _refuse_the_person_being_answered(site, mail)
        if mail.send_at is not None and mail.send_at <= self._clock.now():
            mail = replace(mail, send_at=None)
        queued = await self._composer.queue(
            site, mail, submission_id=submission_id, claiming=self._submitter.at_birth
        )
        submission = queued.submission
        if submission.due_at is not None and submission.due_at > self._clock.now():
            await self._bells.ring(Bell(BellKind.SUBMISSION, submission.id, submission.due_at))
            return submission
        if queued.work is not None:
            attempt = self._submitter.send(queued.work, queued.raw, site)
            after = await self._try(submission.id, attempt, wait)
        elif submission.status is SubmissionStatus.QUEUED:
            after = await self._try(submission.id, self._submitter.look(submission.id), wait)
        else:
            return submission
        return after or await self._things.submission(submission.id) or submission

    async def send_once(self, site: Site, mail: NewMail, key: str) -> Submission:
        """`send` under an idempotency key: the same key gives the same submission, and nothing is sent again.

        Raises what `send` and `Idempotent.run` raise.
        """

        async def call(submission_id: str) -> tuple[int, dict[str, str]]:
            await self.send(site, mail, submission_id=submission_id)
            return 201, {"submission_id": submission_id}

        answered = await self._idempotent.run(f"send:{site.id}", key, request_hash(mail), "sub", call)
        submission = await self._things.submission(answered.body["submission_id"])
        if submission is None:
            raise NotFound("the submission of this key was deleted")
        return submission

    async def _try(self, submission_id: str, attempt: _Attempt, wait: float) -> Submission | None:
        """What the attempt comes to within so many seconds; it goes on when they are over."""
        attempting = asyncio.create_task(_logged(submission_id, attempt))
        self._running.add(attempting)
        attempting.add_done_callback(self._running.discard)
        await asyncio.wait({attempting}, timeout=wait)
        return attempting.result() if attempting.done() else None

    async def close(self) -> None:
        """Wait for attempts under way."""
        if self._running:
            await asyncio.wait(self._running)


async def _logged(submission_id: str, attempt: _Attempt) -> Submission | None:
    try:
        return await attempt
    except Exception:
        # It is stored and will be due again: a fault here is not the caller's.
        log.exception("send.failed", submission=submission_id)
        return None


def request_hash(mail: NewMail) -> str:
    """What tells one mail from another under the same idempotency key."""
    facts = repr(replace(mail, attachments=()))
    files = (part for a in mail.attachments for part in (a.filename, a.content_type or "", a.content))
    return body_hash(facts, mail.content, *files)


def _refuse_the_person_being_answered(site: Site, mail: NewMail) -> None:
    busy = answering_now.get()
    if busy is None or busy.site_id != site.id:
        return
    named = {normalise(a.address) for a in addresses((*mail.to, *mail.cc, *mail.bcc), "/to")}
    if busy.correspondent in named:
        raise Conflict(
            "this person is being answered right now: give the text as the answer instead of sending it",
            code="being_answered",
        )
