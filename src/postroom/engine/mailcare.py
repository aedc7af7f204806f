"""What is owed to the mailbox after a submission: a copy in Sent, `\\Answered` on what was answered."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from postroom.core.errors import MailServerError, PostroomError, ServerCode
from postroom.core.model import Place, Role, Site
from postroom.core.ports import Blobs, Clock, MailSession, Steps
from postroom.core.providers import provider_for
from postroom.core.store import Aftercare, AftercareWork, Intake
from postroom.core.submission import Submission, SubmissionKind

log = structlog.get_logger()

AT_ONCE = 10
"""Few enough that new mail does not wait for them."""

COPY_TRIES = 3


class Mailcare:
    """Attends to what is due, through the account's own session.

    Nothing that a server refuses to store or to flag keeps the account from being read: copies and flags
    are for people, the truth is in the store.
    """

    def __init__(
        self, aftercare: Aftercare, intake: Intake, blobs: Blobs, clock: Clock, steps: Steps
    ) -> None:
        self._aftercare = aftercare
        self._intake = intake
        self._blobs = blobs
        self._steps = steps
        self._started_at: datetime = clock.now()
        self._tries: dict[str, int] = {}

    async def attend(self, site: Site, session: MailSession, roles: Mapping[Role, str]) -> bool:
        """Do a few of what is due for the site, oldest first; whether there is more. Raises
        `MailServerError` when the session is lost."""
        works = await self._aftercare.due(site.id, AT_ONCE)
        outcomes = {}
        for work in works:
            outcomes[work.submission.id] = await self._copy(site, session, roles.get(Role.SENT), work)
            self._steps.reached("care:copied")
        await self._flag(site, session, [place for work in works for place in work.places])
        self._steps.reached("care:flagged")
        for outcome in dict.fromkeys(outcomes.values()):
            await self._aftercare.done([i for i, o in outcomes.items() if o == outcome], outcome)
        for submission_id in outcomes:
            self._tries.pop(submission_id, None)
        return len(works) == AT_ONCE

    # --- the copy in Sent -----------------------------------------------------------------------------

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
        """The search is spared where nobody can have tried: sent since we began, and not tried by us."""
        tries = self._tries.get(submission.id, 0)
        fresh = submission.finished_at is not None and submission.finished_at >= self._started_at
        self._tries[submission.id] = tries + 1
        if (tries or not fresh) and await session.find(sent, message_id=submission.message_id):
            return "done"
        await session.append(sent, await self._blobs.get(submission.raw), ("\\Seen",))
        return "done"

    # --- flags ----------------------------------------------------------------------------------------

    async def _flag(self, site: Site, session: MailSession, places: Sequence[Place]) -> None:
        flags = ("\\Answered", "\\Seen") if site.settings.mark == "seen" else ("\\Answered",)
        await self._set(site, session, places, flags)

    async def _set(
        self, site: Site, session: MailSession, places: Sequence[Place], flags: Sequence[str]
    ) -> None:
        for mailbox in dict.fromkeys(place.mailbox for place in places):
            cursor = await self._intake.cursor(site.id, mailbox)
            known = cursor.uidvalidity if cursor else 0
            uids = [p.uid for p in places if p.mailbox == mailbox and p.uidvalidity == known]
            if not uids:
                continue
            try:
                await session.flag(mailbox, uids, flags)
            except MailServerError as exc:
                if exc.server_code is not ServerCode.MAILBOX_MISSING:
                    raise
