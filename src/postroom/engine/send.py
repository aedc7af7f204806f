"""Agents and callers write first: a mail becomes a submission, and is tried at once (A4, B8)."""

import asyncio

from postroom.core.errors import Conflict
from postroom.core.model import Bell, BellKind, Site
from postroom.core.ports import Bells, Clock
from postroom.core.registry import Things
from postroom.core.submission import Submission, SubmissionStatus
from postroom.engine.answer import answering_now
from postroom.engine.compose import Composer, NewMail, addresses
from postroom.engine.submit import Submitter
from postroom.mail.address import normalise

WAIT_SECONDS = 10.0


class Mailer:
    """Sends mail in a site's name."""

    def __init__(
        self, composer: Composer, submitter: Submitter, things: Things, bells: Bells, clock: Clock
    ) -> None:
        self._composer = composer
        self._submitter = submitter
        self._things = things
        self._bells = bells
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()

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
        submission = await self._composer.queue(site, mail, submission_id=submission_id)
        if submission.due_at is not None and submission.due_at > self._clock.now():
            await self._bells.ring(Bell(BellKind.SUBMISSION, submission.id, submission.due_at))
            return submission
        if submission.status is SubmissionStatus.QUEUED:
            await self._try(submission.id, wait)
        return await self._things.submission(submission.id) or submission

    async def _try(self, submission_id: str, wait: float) -> None:
        attempt = asyncio.create_task(self._submitter.look(submission_id))
        self._running.add(attempt)
        attempt.add_done_callback(self._running.discard)
        await asyncio.wait({attempt}, timeout=wait)

    async def close(self) -> None:
        """Wait for attempts under way."""
        if self._running:
            await asyncio.wait(self._running)


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
