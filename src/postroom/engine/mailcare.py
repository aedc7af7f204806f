"""What is owed to the mailbox after a submission: a copy in Sent, `\\Answered` on what was answered."""

from collections.abc import Mapping
from datetime import datetime

from postroom.core.model import Place, Role, Site
from postroom.core.ports import Blobs, Clock, MailSession, Steps
from postroom.core.providers import provider_for
from postroom.core.store import Aftercare, AftercareWork, Intake
from postroom.core.submission import SubmissionKind

AT_ONCE = 50


class Mailcare:
    """Attends to what is due, through the account's own session."""

    def __init__(
        self, aftercare: Aftercare, intake: Intake, blobs: Blobs, clock: Clock, steps: Steps
    ) -> None:
        self._aftercare = aftercare
        self._intake = intake
        self._blobs = blobs
        self._steps = steps
        self._started_at: datetime = clock.now()
        self._tried: set[str] = set()

    async def attend(self, site: Site, session: MailSession, roles: Mapping[Role, str]) -> None:
        """Do everything that is due for the site, oldest first. Raises `MailServerError`."""
        while works := await self._aftercare.due(site.id, AT_ONCE):
            outcomes = {}
            for work in works:
                outcomes[work.submission.id] = await self._copy(site, session, roles.get(Role.SENT), work)
                self._steps.reached("care:copied")
            await self._flag(site, session, [place for work in works for place in work.places])
            self._steps.reached("care:flagged")
            for submission_id, outcome in outcomes.items():
                await self._aftercare.done([submission_id], outcome)
                self._tried.discard(submission_id)

    async def _copy(self, site: Site, session: MailSession, sent: str | None, work: AftercareWork) -> str:
        submission = work.submission
        channel = site.settings.channels.email
        if channel is not None and provider_for(channel.outgoing_server or "").keeps_sent_copy:
            return "kept_by_provider"
        if sent is None:
            return "no_sent_mailbox"
        if submission.kind is SubmissionKind.NOTICE:
            return "notice"
        if await self._copied_before(session, sent, work):
            return "done"
        await session.append(sent, await self._blobs.get(submission.raw), ("\\Seen",))
        return "done"

    async def _copied_before(self, session: MailSession, sent: str, work: AftercareWork) -> bool:
        # The search is spared where nobody can have tried: sent since we began, and not tried by us.
        submission = work.submission
        fresh = submission.finished_at is not None and submission.finished_at >= self._started_at
        if fresh and submission.id not in self._tried:
            self._tried.add(submission.id)
            return False
        return bool(await session.find(sent, message_id=submission.message_id))

    async def _flag(self, site: Site, session: MailSession, places: list[Place]) -> None:
        flags = ("\\Answered", "\\Seen") if site.settings.mark == "seen" else ("\\Answered",)
        for mailbox in dict.fromkeys(place.mailbox for place in places):
            cursor = await self._intake.cursor(site.id, mailbox)
            uids = [
                p.uid
                for p in places
                if p.mailbox == mailbox and cursor and p.uidvalidity == cursor.uidvalidity
            ]
            if uids:
                await session.flag(mailbox, uids, flags)
