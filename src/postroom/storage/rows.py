"""Values to rows and back. Nothing outside storage sees a row."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, select

from postroom.core.model import (
    AttachmentInfo,
    Claim,
    Direction,
    Event,
    Message,
    MessageState,
    Source,
    Thread,
    TrustLevel,
    TurnRecord,
)
from postroom.core.submission import (
    Recipient,
    RecipientStatus,
    Submission,
    SubmissionKind,
    SubmissionStatus,
)
from postroom.mail.message import Address
from postroom.storage.statements import Row
from postroom.storage.tables import events, messages, submissions, threads, turns
from postroom.storage.types import index_key

Values = dict[str, Any]

# --- messages -----------------------------------------------------------------------------------

_MESSAGE = [
    "id",
    "site_id",
    "thread_id",
    "direction",
    "source",
    "message_id",
    "in_reply_to",
    "references",
    "sender",
    "reply_to",
    "to",
    "cc",
    "subject",
    "date",
    "received_at",
    "text",
    "new_text",
    "html",
    "attachments",
    "trust",
    "content_key",
    "raw",
    "size",
    "state",
    "reason",
    "automatic",
    "notes",
    "due_at",
    "attempts",
    "answered_by",
    "delivered_to",
]


def select_messages() -> Select[Any]:
    """The columns that `message_of` reads."""
    return select(*(messages.c[name] for name in _MESSAGE))


def message_of(row: Row) -> Message:
    """The message in a row of `select_messages`."""
    return Message(
        id=row.id,
        site_id=row.site_id,
        thread_id=row.thread_id,
        direction=Direction(row.direction),
        source=Source(row.source),
        message_id=row.message_id,
        in_reply_to=tuple(row.in_reply_to),
        references=tuple(row.references),
        sender=Address(*row.sender) if row.sender else None,
        reply_to=_addresses(row.reply_to),
        to=_addresses(row.to),
        cc=_addresses(row.cc),
        subject=row.subject,
        date=row.date,
        received_at=row.received_at,
        text=row.text,
        new_text=row.new_text,
        html=row.html,
        attachments=tuple(AttachmentInfo(*item) for item in row.attachments),
        trust=TrustLevel(row.trust),
        content_key=row.content_key,
        raw=row.raw,
        size=row.size,
        state=MessageState(row.state),
        reason=row.reason,
        automatic=row.automatic,
        notes=tuple(row.notes),
        due_at=row.due_at,
        attempts=row.attempts,
        answered_by=row.answered_by,
        delivered_to=row.delivered_to,
    )


def message_values(message: Message) -> Values:
    """The row of a message, without its place in the order of arrival."""
    return {
        "id": message.id,
        "site_id": message.site_id,
        "thread_id": message.thread_id,
        "direction": message.direction.value,
        "source": message.source.value,
        "state": message.state.value,
        "reason": message.reason,
        # A due message without a time is due since it came: no query then has to think of NULL.
        "due_at": message.due_at or (message.received_at if message.state is MessageState.DUE else None),
        "attempts": message.attempts,
        "answered_by": message.answered_by,
        "trust": message.trust.value,
        "automatic": message.automatic,
        "received_at": message.received_at,
        "date": message.date,
        "size": message.size,
        "raw": message.raw,
        "content_key": message.content_key,
        "message_key": index_key(message.message_id),
        "message_id": message.message_id,
        "in_reply_to": message.in_reply_to,
        "references": message.references,
        "sender": _pair(message.sender) if message.sender else None,
        "reply_to": _pairs(message.reply_to),
        "to": _pairs(message.to),
        "cc": _pairs(message.cc),
        "delivered_to": message.delivered_to,
        "subject": message.subject,
        "attachments": [_attachment(item) for item in message.attachments],
        "notes": message.notes,
        "new_text": message.new_text,
        "text": message.text,
        "html": message.html,
    }


def _addresses(pairs: Iterable[Iterable[str]]) -> tuple[Address, ...]:
    return tuple(Address(*pair) for pair in pairs)


def _pair(address: Address) -> list[str]:
    return [address.name, address.address]


def _pairs(addresses: Iterable[Address]) -> list[list[str]]:
    return [_pair(address) for address in addresses]


def _attachment(item: AttachmentInfo) -> list[Any]:
    place = [item.id, item.index, item.filename, item.content_type]
    return [*place, item.size, item.sha256, item.content_id, item.disposition]


# --- threads ------------------------------------------------------------------------------------

_THREAD = ["id", "site_id", "thread_key", "subject", "created_at", "last_at", "messages", "cites", "paused"]
THREAD_VALUES = tuple(_THREAD)
THREAD_COLUMNS = tuple(threads.c[name] for name in _THREAD)


def select_threads() -> Select[Any]:
    """The columns that `thread_of` reads."""
    return select(*THREAD_COLUMNS)


def thread_of(row: Row) -> Thread:
    """The conversation in a row that begins with `THREAD_COLUMNS`."""
    return Thread(*row[: len(_THREAD)])


def thread_values(thread: Thread) -> Values:
    """The row of a conversation; its messages are counted as they are stored."""
    return {name: getattr(thread, name) for name in _THREAD} | {"messages": 0}


# --- submissions --------------------------------------------------------------------------------

_SUBMISSION = [
    "id",
    "site_id",
    "thread_id",
    "kind",
    "message_id",
    "answers",
    "sender",
    "recipients",
    "subject",
    "raw",
    "size",
    "smtputf8",
    "status",
    "created_at",
    "due_at",
    "first_try_at",
    "finished_at",
    "attempts",
    "reason",
    "aftercare",
]
SUBMISSION_COLUMNS = tuple(submissions.c[name] for name in _SUBMISSION)


def select_submissions() -> Select[Any]:
    """The columns that `submission_of` reads."""
    return select(*SUBMISSION_COLUMNS)


def submission_of(row: Row) -> Submission:
    """The submission in a row that holds `SUBMISSION_COLUMNS`."""
    return Submission(
        id=row.id,
        site_id=row.site_id,
        thread_id=row.thread_id,
        kind=SubmissionKind(row.kind),
        message_id=row.message_id,
        answers=row.answers,
        sender=row.sender,
        recipients=recipients_of(row.recipients),
        subject=row.subject,
        raw=row.raw,
        size=row.size,
        smtputf8=row.smtputf8,
        status=SubmissionStatus(row.status),
        created_at=row.created_at,
        due_at=row.due_at,
        first_try_at=row.first_try_at,
        finished_at=row.finished_at,
        attempts=row.attempts,
        reason=row.reason,
        aftercare=row.aftercare,
    )


# The columns that change while it is sent.
SUBMISSION_PROGRESS = (
    "recipients",
    "status",
    "due_at",
    "first_try_at",
    "finished_at",
    "attempts",
    "reason",
    "aftercare",
)


def submission_values(submission: Submission) -> Values:
    """The row of a submission."""
    return _fixed(submission) | submission_progress(submission)


def _fixed(submission: Submission) -> Values:
    return {
        "id": submission.id,
        "site_id": submission.site_id,
        "thread_id": submission.thread_id,
        "kind": submission.kind.value,
        "message_key": index_key(submission.message_id),
        "message_id": submission.message_id,
        "answers": submission.answers,
        "sender": submission.sender,
        "subject": submission.subject,
        "raw": submission.raw,
        "size": submission.size,
        "smtputf8": submission.smtputf8,
        "created_at": submission.created_at,
    }


def submission_progress(submission: Submission) -> Values:
    """The values of `SUBMISSION_PROGRESS`."""
    queued = submission.status is SubmissionStatus.QUEUED
    return {
        "recipients": recipients_document(submission.recipients),
        "status": submission.status.value,
        "due_at": submission.due_at or (submission.created_at if queued else None),
        "first_try_at": submission.first_try_at,
        "finished_at": submission.finished_at,
        "attempts": submission.attempts,
        "reason": submission.reason,
        "aftercare": submission.aftercare,
    }


def recipients_of(document: Iterable[tuple[str, str, int, str]]) -> tuple[Recipient, ...]:
    """Recipients from their JSON."""
    return tuple(Recipient(a, RecipientStatus(status), code, text) for a, status, code, text in document)


def recipients_document(recipients: Iterable[Recipient]) -> list[list[Any]]:
    """Recipients as JSON."""
    return [[r.address, r.status.value, r.code, r.text] for r in recipients]


# --- turns and events ---------------------------------------------------------------------------

_TURN = [
    "id",
    "site_id",
    "thread_id",
    "message_id",
    "agent",
    "attempt",
    "started_at",
    "finished_at",
    "outcome",
    "reason",
    "token_hash",
    "waits_until",
]
_EVENT = ["id", "site_id", "type", "at", "thread_id", "message_id", "submission_id", "turn_id", "data"]


def select_turns() -> Select[Any]:
    """The columns that `turn_of` reads."""
    return select(*(turns.c[name] for name in _TURN))


def turn_of(row: Row) -> TurnRecord:
    """The turn in a row of `select_turns`."""
    return TurnRecord(*row[: len(_TURN)])


def turn_values(turn: TurnRecord) -> Values:
    """The row of a turn."""
    return {name: getattr(turn, name) for name in _TURN}


def select_events() -> Select[Any]:
    """The columns that `event_of` reads."""
    return select(*(events.c[name] for name in _EVENT))


def event_of(row: Row) -> Event:
    """The event in a row of `select_events`."""
    return Event(*row[: len(_EVENT)])


def event_values(event: Event) -> Values:
    """The row of an event."""
    return {name: getattr(event, name) for name in _EVENT} | {"data": dict(event.data)}


def claim_of(row: Row) -> Claim:
    """The claim on the row that was just taken."""
    return Claim(row.id, row.site_id, row.lease_owner, row.lease_token, row.lease_until)
