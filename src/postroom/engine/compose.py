"""From what is to be said to a frozen submission: fixed Message-ID and bytes before any connection (D9)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from postroom.core.agent import Answer, Attachment
from postroom.core.errors import Conflict, TooLarge, invalid
from postroom.core.model import Event, Message, MessageState, Site, Thread, new_id
from postroom.core.policy import identity_for, reply_address
from postroom.core.ports import Blobs, Clock
from postroom.core.registry import Lists, Things
from postroom.core.settings import EmailChannel
from postroom.core.store import Outbox, SubmissionWork
from postroom.core.submission import Recipient, Submission, SubmissionKind, SubmissionStatus
from postroom.engine.drafting import (
    addresses,
    body_of,
    files_of,
    identity,
    quotation,
    subject_line,
    uncomposable,
)
from postroom.engine.outgoing import sent_message
from postroom.mail import thread
from postroom.mail.address import domain_of
from postroom.mail.compose import (
    AUTOMATIC_NOTICE,
    AUTOMATIC_REPLY,
    ComposeError,
    Draft,
    compose,
    needs_smtputf8,
)
from postroom.mail.markdown import body

MESSAGE_LIMIT = 25 * 1024 * 1024
RECIPIENT_LIMIT = 100
OFF_LOOP_SIZE = 16_384


@dataclass(frozen=True, slots=True)
class NewMail:
    """What a caller asks to be sent (A4); addresses as written. `thread_id` (ours) or `in_reply_to` (a
    Message-ID) make it a threaded reply. `send_at`: not before this moment."""

    to: tuple[str, ...]
    subject: str
    content: str = field(repr=False)
    content_type: str = "text/markdown"
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    from_: str | None = None
    reply_to: tuple[str, ...] = ()
    thread_id: str | None = None
    in_reply_to: str | None = None
    attachments: tuple[Attachment, ...] = ()
    send_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """A submission and the outgoing message it carries, with their bytes; not yet stored."""

    submission: Submission
    sent: Message
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Queued:
    """A stored submission; whoever asked for its claim has it as `work`, with its bytes."""

    submission: Submission
    work: SubmissionWork | None = None
    raw: bytes = field(default=b"", repr=False)


class Composer:
    """Writes mail in a site's name and stores it as a submission."""

    def __init__(
        self, outbox: Outbox, things: Things, lists: Lists, blobs: Blobs, clock: Clock, secret: bytes
    ) -> None:
        self._outbox = outbox
        self._things = things
        self._lists = lists
        self._blobs = blobs
        self._clock = clock
        self._secret = secret

    async def queue(
        self,
        site: Site,
        mail: NewMail,
        *,
        kind: SubmissionKind = SubmissionKind.NEW,
        submission_id: str | None = None,
        claiming: Callable[[Submission], SubmissionWork] | None = None,
    ) -> "Queued":
        """Store a new mail as a submission, under the claim that `claiming` makes of it if it is due now.

        With a `submission_id` that exists already, that one is given and nothing is written. Raises
        `InvalidInput` (JSON pointers) and `TooLarge`.
        """
        if submission_id and (known := await self._things.submission(submission_id)):
            return Queued(known)
        now = self._clock.now()
        parent = await self._parent(site, mail)
        began = None if parent.thread else self._new_thread(site, mail, now)
        conversation = parent.thread or began
        assert conversation is not None
        thread_id = conversation.id
        frozen = await _written(
            len(mail.content) + sum(len(file.content) for file in mail.attachments),
            lambda: self._new(site, mail, parent.message, kind, thread_id, now, submission_id),
        )
        if began is not None:
            began = replace(began, thread_key=frozen.submission.message_id)
        await self._blobs.put(frozen.raw)
        event = _queued_event(frozen, now)
        work = claiming(frozen.submission) if claiming and mail.send_at is None else None
        claim = work.claim if work else None
        stored = await self._outbox.add(frozen.submission, frozen.sent, began, event, claim)
        return Queued(frozen.submission, work if stored else None, frozen.raw)

    async def answer(self, site: Site, message: Message, answer: Answer) -> Frozen:
        """The reply to a message: to its sender, in its thread, from the address it was sent to.

        Raises `InvalidInput` or `TooLarge` when the answer cannot be mailed.
        """
        size = len(answer.text) + sum(len(file.content) for file in answer.attachments)
        quoted = len(message.text) if site.settings.quote else 0
        return await _written(size + quoted, lambda: self._reply(site, message, answer))

    def _reply(self, site: Site, message: Message, answer: Answer) -> Frozen:
        channel = _channel(site)
        assert message.sender is not None
        now = self._clock.now()
        to = reply_address(message.sender, message.reply_to, site.settings.reply_to.allow)
        quoted = quotation(message) if site.settings.quote else None
        content = body(answer.text, site.settings.signature, quoted)
        draft = Draft(
            from_=identity(channel, identity_for(message, channel)),
            to=(to,),
            subject=thread.reply_subject(message.subject),
            text=content.text,
            html=content.html,
            message_id="",
            date=now,
            attachments=files_of(answer.attachments),
            headers=(*AUTOMATIC_REPLY, self._hop(site)),
            in_reply_to=message.message_id or None,
            references=thread.reply_references(message.references, message.message_id, message.in_reply_to),
        )
        frozen = self.freeze(
            site, draft, (to.address,), SubmissionKind.ANSWER, message.thread_id, now, answers=message.id
        )
        return replace(frozen, sent=replace(frozen.sent, text=answer.text, new_text=answer.text))

    def freeze(
        self,
        site: Site,
        draft: Draft,
        recipients: Sequence[str],
        kind: SubmissionKind,
        thread_id: str,
        now: datetime,
        *,
        answers: str | None = None,
        submission_id: str | None = None,
        due_at: datetime | None = None,
    ) -> Frozen:
        """Fix the Message-ID and the bytes of a draft, and the submission that carries them."""
        key = submission_id or new_id("sub", now)
        domain = domain_of(draft.from_.address).encode("idna").decode()
        message_id = thread.make_message_id(self._secret, thread_id, key.removeprefix("sub_"), domain)
        draft = replace(draft, message_id=message_id)
        raw = compose(draft)
        if len(raw) > MESSAGE_LIMIT:
            raise TooLarge(f"the message has more than {MESSAGE_LIMIT} bytes")
        sent = sent_message(site.id, thread_id, draft, raw, self._secret)
        submission = Submission(
            id=key,
            site_id=site.id,
            thread_id=thread_id,
            kind=kind,
            message_id=message_id,
            answers=answers,
            sender=_channel(site).email,
            recipients=tuple(Recipient(address) for address in recipients),
            subject=draft.subject,
            raw=sent.raw,
            size=len(raw),
            smtputf8=needs_smtputf8((draft.from_, *draft.to, *draft.cc, *draft.reply_to, *recipients)),
            status=SubmissionStatus.QUEUED,
            created_at=now,
            due_at=due_at or now,
        )
        return Frozen(submission, sent, raw)

    def _new(
        self,
        site: Site,
        mail: NewMail,
        parent: Message | None,
        kind: SubmissionKind,
        thread_id: str,
        now: datetime,
        submission_id: str | None,
    ) -> Frozen:
        draft, recipients = self._draft(site, mail, parent, kind, now)
        return self.freeze(
            site,
            draft,
            recipients,
            kind,
            thread_id,
            now,
            submission_id=submission_id,
            due_at=mail.send_at,
        )

    async def _parent(self, site: Site, mail: NewMail) -> "_Parent":
        if mail.thread_id is not None:
            found = await self._things.thread(mail.thread_id)
            if found is None or found.site_id != site.id:
                raise invalid("/thread_id", "there is no such thread")
            page = await self._lists.messages(site.id, {"thread_id": found.id}, None, 20)
            named = [m for m in page.items if m.message_id and m.state is not MessageState.QUARANTINED]
            return _Parent(found, named[0] if named else None)
        if mail.in_reply_to is not None:
            wanted = mail.in_reply_to.strip().strip("<>")
            page = await self._lists.messages(site.id, {"message_id": wanted}, None, 1)
            if not wanted or not page.items:
                raise invalid("/in_reply_to", "no message with this Message-ID is known here")
            message = page.items[0]
            return _Parent(await self._things.thread(message.thread_id), message)
        return _Parent(None, None)

    def _draft(
        self, site: Site, mail: NewMail, parent: Message | None, kind: SubmissionKind, now: datetime
    ) -> tuple[Draft, tuple[str, ...]]:
        channel = _channel(site)
        to, cc = addresses(mail.to, "/to"), addresses(mail.cc, "/cc")
        bcc, reply_to = addresses(mail.bcc, "/bcc"), addresses(mail.reply_to, "/reply_to")
        recipients = tuple(dict.fromkeys(a.address for a in (*to, *cc, *bcc)))
        if not recipients:
            raise invalid("/to", "must name at least one recipient")
        if len(recipients) > RECIPIENT_LIMIT:
            raise invalid("/to", f"must not name more than {RECIPIENT_LIMIT} recipients in all")
        notice = AUTOMATIC_NOTICE if kind is SubmissionKind.NOTICE else ()
        content = body_of(mail.content, mail.content_type, site.settings.signature)
        draft = Draft(
            from_=identity(channel, mail.from_),
            to=to,
            cc=cc,
            reply_to=reply_to,
            subject=subject_line(mail.subject),
            text=content.text,
            html=content.html,
            message_id="",
            date=now,
            attachments=files_of(mail.attachments),
            headers=(*notice, self._hop(site)),
            in_reply_to=parent.message_id if parent else None,
            references=_references(parent),
        )
        return draft, recipients

    def _hop(self, site: Site) -> tuple[str, str]:
        return (thread.HOP_HEADER, thread.hop_value(self._secret, site.id))

    def _new_thread(self, site: Site, mail: NewMail, now: datetime) -> Thread:
        return Thread(new_id("thr", now), site.id, "", mail.subject, now, now)


async def _written(size: int, write: Callable[[], Frozen]) -> Frozen:
    """What `write` gives; a large mail is written in a thread, so that the loop goes on meanwhile."""
    try:
        return await asyncio.to_thread(write) if size > OFF_LOOP_SIZE else write()
    except ComposeError as exc:
        raise uncomposable(exc) from exc


@dataclass(frozen=True, slots=True)
class _Parent:
    """What a new mail continues, if anything."""

    thread: Thread | None
    message: Message | None


def _references(parent: Message | None) -> tuple[str, ...]:
    if parent is None:
        return ()
    return thread.reply_references(parent.references, parent.message_id, parent.in_reply_to)


def _channel(site: Site) -> EmailChannel:
    channel = site.settings.channels.email
    if channel is None or channel.outgoing_server is None:
        raise Conflict("the site has no outgoing mail server yet", code="no_outgoing_server")
    return channel


def _queued_event(frozen: Frozen, now: datetime) -> Event:
    submission = frozen.submission
    return Event(
        new_id("evt", now),
        submission.site_id,
        "submission.queued",
        now,
        submission.thread_id,
        frozen.sent.id,
        submission.id,
    )
