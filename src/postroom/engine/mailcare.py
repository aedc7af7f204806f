"""What is owed to the mailbox after a submission: a copy in Sent, `\\Answered` on what was answered."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from postroom.core.errors import MailServerError, PostroomError, ServerCode
from postroom.core.model import Event, Place, Role, Site, new_id
from postroom.core.ports import Blobs, Clock, MailSession, Steps
from postroom.core.providers import provider_for
from postroom.core.shares import Fence
from postroom.core.store import Aftercare, AftercareWork, Intake, ReportedStatus
from postroom.core.submission import Submission, SubmissionKind, SubmissionStatus

log = structlog.get_logger()

AT_ONCE = 10
"""Few enough that new mail does not wait for them."""

JUST_BEFORE = timedelta(minutes=2)
"""What an earlier process may have left without a flag: seeing a mail twice as read harms nobody."""

COPY_TRIES = 3
NOT_IN_SENT = "not_in_sent"
NOT_LOOKED_UP = "not_looked_up"
NOT_KNOWN_TO_BE_SENT = (NOT_IN_SENT, NOT_LOOKED_UP)


class Mailcare:
    """Attends to what is due, through the account's own session.

    Nothing that a server refuses to store or to flag keeps the account from being read: copies and flags
    are for people, the truth is in the store. Before anything is done in the mailbox the fence is asked.
    """

    def __init__(
        self, aftercare: Aftercare, intake: Intake, fence: Fence, blobs: Blobs, clock: Clock, steps: Steps
    ) -> None:
        self._aftercare = aftercare
        self._intake = intake
        self._fence = fence
        self._blobs = blobs
        self._steps = steps
        self._clock = clock
        self._started_at: datetime = clock.now()
        self._tries: dict[str, int] = {}
        self._seen_until: dict[str, datetime] = {}

    async def attend(self, site: Site, session: MailSession, roles: Mapping[Role, str]) -> bool:
        """Do a few of what is due for the site, oldest first; whether there is more. Raises
        `MailServerError` when the session is lost."""
        works = await self._aftercare.due(site.id, AT_ONCE)
        outcomes = {}
        sent = roles.get(Role.SENT)
        for work in works:
            unknown = work.submission.status is SubmissionStatus.UNKNOWN
            attending = self._look_up if unknown else self._copy
            outcomes[work.submission.id] = await attending(site, session, sent, work)
            self._steps.reached("care:copied")
        taken = [work for work in works if outcomes[work.submission.id] not in NOT_KNOWN_TO_BE_SENT]
        await self._flag(site, session, [place for work in taken for place in work.places])
        self._steps.reached("care:flagged")
        for outcome in dict.fromkeys(outcomes.values()):
            await self._aftercare.done([i for i, o in outcomes.items() if o == outcome], outcome)
        for submission_id in outcomes:
            self._tries.pop(submission_id, None)
        more = site.settings.mark == "seen" and await self._see_unanswered(site, session)
        return more or len(works) == AT_ONCE

    # --- the copy in Sent -----------------------------------------------------------------------------

    async def _look_up(self, site: Site, session: MailSession, sent: str | None, work: AftercareWork) -> str:
        """Whether a submission of unknown outcome is in Sent after all; then it was accepted."""
        submission = work.submission
        if sent is None:
            return NOT_LOOKED_UP
        try:
            found = await session.find(sent, message_id=submission.message_id)
        except PostroomError as exc:
            if exc.temporary:
                raise
            return NOT_LOOKED_UP
        if not found:
            return NOT_IN_SENT
        now = self._clock.now()
        event = Event(
            new_id("evt", now), site.id, "submission.found_in_sent", now, thread_id=submission.thread_id
        )
        async with self._intake.transaction(site.id) as tx:
            copy = [ReportedStatus("", "accepted", "", "found in Sent")]
            await tx.report(submission.message_id, copy, event)
        return "done"

    async def _copy(self, site: Site, session: MailSession, sent: str | None, work: AftercareWork) -> str:
        submission = work.submission
        channel = site.settings.channels.email
        if channel is not None and provider_for(channel.outgoing_server or "").keeps_sent_copy:
            return "kept_by_provider"
        if sent is None:
            return "no_sent_mailbox"
        if submission.kind is SubmissionKind.NOTICE:
            return "notice"
        if self._tries.get(submission.id, 0) >= COPY_TRIES:
            return "not_copied"
        try:
            return await self._stored(session, sent, submission)
        except PostroomError as exc:
            if exc.temporary:
                raise
            log.warning("care.not_copied", submission=submission.id, code=exc.code)
            return exc.code

    async def _stored(self, session: MailSession, sent: str, submission: Submission) -> str:
        """The search is spared where nobody can have tried: sent since we began, at the first try and without
        any trouble, and not copied by us."""
        tries = self._tries.get(submission.id, 0)
        fresh = submission.finished_at is not None and submission.finished_at >= self._started_at
        self._tries[submission.id] = tries + 1
        if (tries or not fresh or submission.reason) and await session.find(
            sent, message_id=submission.message_id
        ):
            return "done"
        await self._fence.check()
        await session.append(sent, await self._blobs.get(submission.raw), ("\\Seen",))
        return "done"

    # --- flags ----------------------------------------------------------------------------------------

    async def _flag(self, site: Site, session: MailSession, places: Sequence[Place]) -> None:
        flags = ("\\Answered", "\\Seen") if site.settings.mark == "seen" else ("\\Answered",)
        await self._set(site, session, places, flags)

    async def _see_unanswered(self, site: Site, session: MailSession) -> bool:
        """What the agent chose not to answer was handled too; whether there is more of it."""
        since = self._seen_until.get(site.id, self._started_at - JUST_BEFORE)
        found = await self._aftercare.unanswered(site.id, since, AT_ONCE)
        if found:
            await self._set(site, session, [p for one in found for p in one.places], ("\\Seen",))
            self._seen_until[site.id] = found[-1].at
        return len(found) == AT_ONCE

    async def _set(
        self, site: Site, session: MailSession, places: Sequence[Place], flags: Sequence[str]
    ) -> None:
        for mailbox in dict.fromkeys(place.mailbox for place in places):
            cursor = await self._intake.cursor(site.id, mailbox)
            known = cursor.uidvalidity if cursor else 0
            uids = [p.uid for p in places if p.mailbox == mailbox and p.uidvalidity == known]
            if not uids:
                continue
            await self._fence.check()
            try:
                await session.flag(mailbox, uids, flags)
            except MailServerError as exc:
                if exc.server_code is not ServerCode.MAILBOX_MISSING:
                    raise
