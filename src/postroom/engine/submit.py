"""From a submission row to the server: what was on its way and not confirmed is never sent again (D9)."""

import random
from collections.abc import Mapping
from dataclasses import replace

import structlog

from postroom.core.errors import LeaseLost, MailServerError, OutcomeUnknown, PostroomError, ServerCode
from postroom.core.model import Bell, BellKind, Event, new_id
from postroom.core.ports import Bells, Blobs, Clock, MailSubmission, Steps
from postroom.core.registry import Sites
from postroom.core.store import Outbox, SubmissionWork
from postroom.core.submission import (
    Envelope,
    RecipientStatus,
    SmtpReply,
    Submission,
    SubmissionKind,
    SubmissionStatus,
)
from postroom.engine import retry
from postroom.engine.accounts import Logins
from postroom.engine.lease import LEASE, kept
from postroom.engine.notify import Notifier

log = structlog.get_logger()


class Submitter:
    """Works off submissions, one claim at a time."""

    def __init__(
        self,
        outbox: Outbox,
        sites: Sites,
        logins: Logins,
        mail: MailSubmission,
        blobs: Blobs,
        bells: Bells,
        notifier: Notifier,
        clock: Clock,
        steps: Steps,
        owner: str,
    ) -> None:
        self._outbox = outbox
        self._sites = sites
        self._logins = logins
        self._mail = mail
        self._blobs = blobs
        self._bells = bells
        self._notifier = notifier
        self._clock = clock
        self._steps = steps
        self._owner = owner

    async def look(self, submission_id: str) -> None:
        """Attempt the submission if it is due and nobody else has it."""
        now = self._clock.now()
        work = await self._outbox.claim(submission_id, self._owner, now, now + LEASE)
        if work is None:
            return
        self._steps.reached("submit:claimed")
        try:
            async with kept(work.claim, self._outbox.renew, self._clock):
                after = await self._attempt(work)
                await self._record(work, after)
        except LeaseLost:
            log.warning("submit.lease_lost", submission=submission_id)

    async def _attempt(self, work: SubmissionWork) -> Submission:
        submission = work.submission
        now = self._clock.now()
        if submission.status is SubmissionStatus.TRANSMITTING:
            # Whoever sent the bytes died before the reply was recorded.
            return retry.unknown(submission, now)
        trying = replace(
            submission, attempts=submission.attempts + 1, first_try_at=submission.first_try_at or now
        )
        chance = random.random()  # noqa: S311 - jitter
        try:
            replies = await self._send(work, trying)
        except OutcomeUnknown:
            return retry.unknown(trying, self._clock.now())
        except LeaseLost:
            raise
        except PostroomError as exc:
            log.warning("submit.failed", submission=submission.id, code=exc.code)
            return retry.failed_attempt(trying, exc.code, self._clock.now(), chance).submission
        return retry.conclude(trying, replies, self._clock.now(), chance).submission

    async def _send(self, work: SubmissionWork, submission: Submission) -> Mapping[str, SmtpReply]:
        site = await self._sites.get(submission.site_id)
        login = await self._logins.submission(site) if site else None
        if login is None:
            raise MailServerError(ServerCode.AUTH_FAILED, "the site has no outgoing server or no password")
        open_states = (RecipientStatus.QUEUED, RecipientStatus.DEFERRED)
        waiting = tuple(r.address for r in submission.recipients if r.status in open_states)
        envelope = Envelope(submission.sender, waiting, submission.smtputf8)
        raw = await self._blobs.get(submission.raw)

        async def transmitting() -> None:
            await self._outbox.transmitting(work.claim, self._clock.now())

        return await self._mail.submit(login, envelope, raw, transmitting)

    async def _record(self, work: SubmissionWork, after: Submission) -> None:
        now = self._clock.now()
        data = {"status": after.status.value, "attempt": after.attempts, "reason": after.reason}
        event = Event(
            new_id("evt", now),
            after.site_id,
            f"submission.{after.status.value}",
            now,
            after.thread_id,
            submission_id=after.id,
            data=data,
        )
        await self._outbox.record(work.claim, after, [event])
        self._steps.reached("submit:recorded")
        if after.status is SubmissionStatus.QUEUED:
            await self._bells.ring(Bell(BellKind.SUBMISSION, after.id, after.due_at))
        if after.aftercare == "due":
            await self._bells.ring(Bell(BellKind.ACCOUNT, after.site_id))
        await self._tell(after)

    async def _tell(self, after: Submission) -> None:
        if after.kind is SubmissionKind.NOTICE:
            return
        code = _NOTICES.get(after.status)
        site = await self._sites.get(after.site_id) if code else None
        if code and site:
            await self._notifier.tell(site, code, thread_id=after.thread_id, subject_id=after.id)


_NOTICES = {
    SubmissionStatus.UNKNOWN: "submission.unknown",
    SubmissionStatus.FAILED: "submission.failed",
    SubmissionStatus.REJECTED: "submission.failed",
}
