"""Tells the owner of a mailbox what needs a person: always as an event, by mail when `owner` is set."""

from postroom.core.model import Bell, BellKind, Event, Site, new_id
from postroom.core.ports import Bells, Clock
from postroom.core.registry import Desk
from postroom.core.submission import SubmissionKind
from postroom.engine.compose import Composer, NewMail

SUBJECTS = {
    "account.auth_failed": "Postroom can no longer log in",
    "mailbox.reset_loop": "Postroom has paused this mailbox",
    "thread.paused": "Postroom has paused a conversation",
    "submission.failed": "A message could not be sent",
    "submission.unknown": "A message may or may not have been sent",
    "message.failed": "A message could not be answered",
}
DETAILS = {
    "account.auth_failed": """The mail server refused the password three times, so Postroom waits.

Please store a new password; most providers want an app password. Until then nothing is read or answered.""",
    "mailbox.reset_loop": """The mail server has renumbered the mailbox six times in a row.

Postroom stopped reading, so that nothing is answered twice. Save the settings again to go on.""",
    "thread.paused": """A conversation reached its limit of answers and was paused.

Nothing more is answered in it until it is resumed.""",
    "submission.failed": """A message was refused for good, or could not be handed over within two days.""",
    "submission.unknown": """The connection broke before the server confirmed that it took a message.

It is not sent again by itself, so that nobody gets it twice.""",
    "message.failed": """The agent failed on a message and is not asked again by itself.

The message waits as failed; it can be retried.""",
}


class Notifier:
    """Publishes what the owner should know; each notice is one event and at most one mail."""

    def __init__(self, desk: Desk, composer: Composer, bells: Bells, clock: Clock) -> None:
        self._desk = desk
        self._composer = composer
        self._bells = bells
        self._clock = clock

    async def tell(
        self, site: Site, code: str, *, thread_id: str | None = None, subject_id: str = ""
    ) -> None:
        """Note the event `owner.notice` with this code, and mail it when the site names an owner.

        `subject_id` is the id of what it is about; the mail names it and nothing of its content.
        """
        now = self._clock.now()
        data = {"code": code, "about": subject_id}
        await self._desk.note([Event(new_id("evt", now), site.id, "owner.notice", now, thread_id, data=data)])
        if site.settings.owner is None or site.settings.channels.email is None:
            return
        if site.settings.channels.email.outgoing_server is None:
            return
        subject, text = SUBJECTS[code], DETAILS[code]
        about = f"\n\nIt is about: {subject_id or thread_id}" if subject_id or thread_id else ""
        mail = NewMail(
            to=(site.settings.owner,), subject=subject, content=f"{text}{about}\n\nSite: {site.id}"
        )
        stored = await self._composer.queue(site, mail, kind=SubmissionKind.NOTICE)
        await self._bells.ring(Bell(BellKind.SUBMISSION, stored.submission.id))
