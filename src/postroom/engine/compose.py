"""From what is to be said to a frozen submission: fixed Message-ID and bytes before any connection (D9)."""

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from postroom.core.agent import Answer, Attachment
from postroom.core.errors import Conflict, TooLarge, invalid
from postroom.core.model import (
    Direction,
    Event,
    Message,
    MessageState,
    Site,
    Source,
    Thread,
    TrustLevel,
    new_id,
)
from postroom.core.policy import identity_for, reply_address
from postroom.core.ports import Blobs, Clock
from postroom.core.registry import Lists, Things
from postroom.core.settings import EmailChannel
from postroom.core.store import Outbox
from postroom.core.submission import Recipient, Submission, SubmissionKind, SubmissionStatus
from postroom.engine.read import Arrived, read
from postroom.mail import thread
from postroom.mail.address import AddressError, check_address, domain_of, normalise
from postroom.mail.compose import (
    AUTOMATIC_NOTICE,
    AUTOMATIC_REPLY,
    ComposeError,
    Draft,
    OutgoingFile,
    attribution,
    compose,
    needs_smtputf8,
)
from postroom.mail.markdown import Body, Quoted, body, html_body, plain_body
from postroom.mail.message import Address

MESSAGE_LIMIT = 25 * 1024 * 1024
RECIPIENT_LIMIT = 100
SUBJECT_LIMIT = 900


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
    ) -> Submission:
        """Store a new mail as a submission. With a `submission_id` that exists already, that one is returned
        and nothing is written. Raises `InvalidInput` (JSON pointers) and `TooLarge`."""
        if submission_id and (known := await self._things.submission(submission_id)):
            return known
        now = self._clock.now()
        parent = await self._parent(site, mail)
        began = None if parent.thread else self._new_thread(site, mail, now)
        conversation = parent.thread or began
        assert conversation is not None
        draft, recipients = self._draft(site, mail, parent.message, kind, now)
        frozen = self.freeze(
            site,
            draft,
            recipients,
            kind,
            conversation.id,
            now,
            submission_id=submission_id,
            due_at=mail.send_at,
        )
        if began is not None:
            began = replace(began, thread_key=frozen.submission.message_id)
        await self._blobs.put(frozen.raw)
        event = Event(
            new_id("evt", now),
            site.id,
            "submission.queued",
            now,
            conversation.id,
            frozen.sent.id,
            frozen.submission.id,
        )
        await self._outbox.add(frozen.submission, frozen.sent, began, event)
        return frozen.submission

    def answer(self, site: Site, message: Message, answer: Answer) -> Frozen:
        """The reply to a message: to its sender, in its thread, from the address it was sent to.

        Raises `InvalidInput` or `TooLarge` when the answer cannot be mailed.
        """
        channel = _channel(site)
        assert message.sender is not None
        now = self._clock.now()
        to = reply_address(message.sender, message.reply_to, site.settings.reply_to.allow)
        quoted = _quotation(message) if site.settings.quote else None
        draft = _draft_of(
            channel,
            identity_for(message, channel),
            body(answer.text, site.settings.signature, quoted),
            subject=thread.reply_subject(message.subject),
            to=(to,),
            attachments=_files(answer.attachments),
            date=now,
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
        try:
            raw = compose(replace(draft, message_id=message_id))
        except ComposeError as exc:
            raise invalid("/", str(exc)) from exc
        if len(raw) > MESSAGE_LIMIT:
            raise TooLarge(f"the message has more than {MESSAGE_LIMIT} bytes")
        arrived = Arrived(Source.OURS, raw, now, len(raw))
        reading = read(site.id, arrived, (), self._secret, now).message
        sent = replace(
            reading,
            thread_id=thread_id,
            direction=Direction.OUT,
            state=MessageState.SENT,
            trust=TrustLevel.VERIFIED,
            automatic="",
            raw=sha256(raw).hexdigest(),
        )
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
            raw=sha256(raw).hexdigest(),
            size=len(raw),
            smtputf8=needs_smtputf8((draft.from_, *draft.to, *draft.cc, *draft.reply_to, *recipients)),
            status=SubmissionStatus.QUEUED,
            created_at=now,
            due_at=due_at or now,
        )
        return Frozen(submission, sent, raw)

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
            if not page.items:
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
        draft = _draft_of(
            channel,
            mail.from_,
            _body(mail, site),
            subject=_line(mail.subject, "/subject"),
            to=to,
            cc=cc,
            reply_to=reply_to,
            attachments=_files(mail.attachments),
            date=now,
            headers=(*notice, self._hop(site)),
            in_reply_to=parent.message_id if parent else None,
            references=_references(parent),
        )
        return draft, recipients

    def _hop(self, site: Site) -> tuple[str, str]:
        return (thread.HOP_HEADER, thread.hop_value(self._secret, site.id))

    def _new_thread(self, site: Site, mail: NewMail, now: datetime) -> Thread:
        return Thread(new_id("thr", now), site.id, "", mail.subject, now, now)


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


def _draft_of(
    channel: EmailChannel,
    from_: str | None,
    content: Body,
    *,
    subject: str,
    to: tuple[Address, ...],
    date: datetime,
    headers: tuple[tuple[str, str], ...],
    attachments: tuple[OutgoingFile, ...],
    in_reply_to: str | None,
    references: tuple[str, ...],
    cc: tuple[Address, ...] = (),
    reply_to: tuple[Address, ...] = (),
) -> Draft:
    return Draft(
        from_=identity(channel, from_),
        to=to,
        cc=cc,
        reply_to=reply_to,
        subject=subject,
        text=content.text,
        html=content.html,
        message_id="",
        date=date,
        attachments=attachments,
        in_reply_to=in_reply_to,
        references=references,
        headers=headers,
    )


def identity(channel: EmailChannel, wanted: str | None) -> Address:
    """The sender: the account or one of its aliases, with the display name asked for or the site's own.

    Raises `InvalidInput` at /from for any other address.
    """
    own = {normalise(address): address for address in channel.addresses}
    asked = addresses((wanted,), "/from")[0] if wanted else Address("", channel.email)
    if normalise(asked.address) not in own:
        raise invalid("/from", "must be the address of the account or one of its aliases")
    return Address(asked.name or channel.display_name or "", own[normalise(asked.address)])


def addresses(values: Sequence[str], pointer: str) -> tuple[Address, ...]:
    """Addresses that a caller wrote, checked. Raises `InvalidInput` at the pointer, with the index."""
    found = []
    for index, value in enumerate(values):
        where = pointer if len(values) == 1 else f"{pointer}/{index}"
        try:
            found.append(check_address(value, where))
        except AddressError as exc:
            raise invalid(where, str(exc).removeprefix(f"{where}: ")) from exc
    return tuple(found)


def _line(value: str, pointer: str) -> str:
    if any(ch < " " or ch in "\x7f\x85\u2028\u2029" for ch in value):
        raise invalid(pointer, "must be one line without control characters")
    if len(value) > SUBJECT_LIMIT:
        raise invalid(pointer, f"must not be longer than {SUBJECT_LIMIT} characters")
    return value


def _body(mail: NewMail, site: Site) -> Body:
    if mail.content_type == "text/plain":
        return plain_body(mail.content)
    if mail.content_type == "text/html":
        return html_body(mail.content)
    if mail.content_type == "text/markdown":
        return body(mail.content, site.settings.signature, None)
    raise invalid("/content_type", "must be text/markdown, text/plain or text/html")


def _files(attachments: Sequence[Attachment]) -> tuple[OutgoingFile, ...]:
    return tuple(
        OutgoingFile(item.filename, item.content_type or _guess(item.filename), item.content)
        for item in attachments
    )


def _guess(filename: str) -> str:
    return mimetypes.guess_type(filename, strict=False)[0] or "application/octet-stream"


def _quotation(message: Message) -> Quoted:
    assert message.sender is not None
    return Quoted(attribution(message.sender, message.date), message.text)
