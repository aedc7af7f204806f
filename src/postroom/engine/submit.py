"""From a submission row to the server: what was on its way and not confirmed is never sent again (D9)."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from postroom.core.errors import LeaseLost, MailServerError, OutcomeUnknown, PostroomError, ServerCode
from postroom.core.model import Bell, BellKind, Event, Login, Site, new_id
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
from postroom.engine.refusals import RefusedLogins

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Task:
    """A claimed submission, and what need not be looked up for it."""

    work: SubmissionWork
    raw: bytes | None = field(default=None, repr=False)
    site: Site | None = None


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
        self._refusals = RefusedLogins()

    def at_birth(self, submission: Submission) -> SubmissionWork:
        """The claim under which a submission is to be stored by whoever hands it to `send` next."""
        return SubmissionWork.at_birth(submission, self._owner, self._clock.now() + LEASE)

    async def look(self, submission_id: str) -> None:
        """Attempt the submission if it is due and nobody else has it."""
        now = self._clock.now()
        work = await self._outbox.claim(submission_id, self._owner, now, now + LEASE)
        if work is not None:
            await self._under_claim(_Task(work))

    async def send(self, work: SubmissionWork, raw: bytes, site: Site | None) -> Submission | None:
        """Attempt a submission that was stored as claimed, its bytes (and its site) being at hand; how it
        stands then, unless the claim was lost."""
        return await self._under_claim(_Task(work, raw, site))

    async def _under_claim(self, task: "_Task") -> Submission | None:
        work = task.work
        self._steps.reached("submit:claimed")
        try:
            async with kept(work.claim, self._outbox.renew, self._clock):
                after = await self._attempt(task)
                await self._record(work, after)
                return after
        except LeaseLost:
            log.warning("submit.lease_lost", submission=work.submission.id)
            return None

    async def _attempt(self, task: "_Task") -> Submission:
        submission = task.work.submission
        now = self._clock.now()
        if submission.status is SubmissionStatus.TRANSMITTING:
            # Whoever sent the bytes died before the reply was recorded.
            return retry.unknown(submission, now)
        trying = replace(
            submission, attempts=submission.attempts + 1, first_try_at=submission.first_try_at or now
        )
        chance = random.random()  # noqa: S311 - jitter
        try:
            replies = await self._send(task, trying)
        except OutcomeUnknown:
            return retry.unknown(trying, self._clock.now())
        except LeaseLost:
            raise
        except PostroomError as exc:
            log.warning("submit.failed", submission=submission.id, code=exc.code)
            return retry.failed_attempt(trying, exc.code, self._clock.now(), chance).submission
        return retry.conclude(trying, replies, self._clock.now(), chance).submission

    async def _send(self, task: "_Task", submission: Submission) -> Mapping[str, SmtpReply]:
        site = task.site or await self._sites.get(submission.site_id)
        login = await self._logins.submission(site) if site else None
        if site is None or login is None:
            raise MailServerError(ServerCode.AUTH_FAILED, "the site has no outgoing server or no password")
        open_states = (RecipientStatus.QUEUED, RecipientStatus.DEFERRED)
        waiting = tuple(r.address for r in submission.recipients if r.status in open_states)
        envelope = Envelope(submission.sender, waiting, submission.smtputf8)
        raw = task.raw or await self._blobs.get(submission.raw)

        async def transmitting() -> None:
            await self._outbox.transmitting(task.work.claim, self._clock.now())

        return await self._handed_over(site, login, envelope, raw, transmitting)

    async def _handed_over(
        self,
        site: Site,
        login: Login,
        envelope: Envelope,
        raw: bytes,
        transmitting: Callable[[], Awaitable[None]],
    ) -> Mapping[str, SmtpReply]:
        """What the server says; a login that it keeps refusing is not shown to it again and again."""
        self._refusals.check(login, self._clock.now())
        try:
            replies = await self._mail.submit(login, envelope, raw, transmitting)
        except MailServerError as exc:
            chance = random.random()  # noqa: S311 - jitter
            if self._refusals.refused(login, exc, self._clock.now(), chance):
                await self._notifier.tell(site, "account.auth_failed")
            raise
        self._refusals.accepted(login)
        return replies

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
