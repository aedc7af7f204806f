"""Nouns of sending: a submission, its recipients, and what servers said of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SubmissionKind(StrEnum):
    """Why a message is sent."""

    ANSWER = "answer"
    NEW = "new"
    NOTICE = "notice"


class SubmissionStatus(StrEnum):
    """What we know of a submission as a whole; `closed`: a person let one rest whose outcome stays open."""

    QUEUED = "queued"
    TRANSMITTING = "transmitting"
    SENT = "sent"
    PARTLY_SENT = "partly_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class RecipientStatus(StrEnum):
    """What we know per recipient; `accepted` = the server said 250, the last three are a report's word."""

    QUEUED = "queued"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    FAILED = "failed"
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """A server's reply to one command (RFC 5321 section 4.2). `text` is one line, cut to 500 characters."""

    code: int
    text: str

    @property
    def accepted(self) -> bool:
        """The server took responsibility (2xx)."""
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        """The server will not change its mind (5xx)."""
        return 500 <= self.code < 600


@dataclass(frozen=True, slots=True)
class Recipient:
    """One envelope recipient and what is known about it."""

    address: str
    status: RecipientStatus = RecipientStatus.QUEUED
    code: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """MAIL FROM and RCPT TO (RFC 5321 section 3.3)."""

    sender: str
    recipients: tuple[str, ...]
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """One message asked to be sent. Its Message-ID and bytes (`raw`, a blob digest) are fixed before the
    first connection. `aftercare`: "due" until it was copied to Sent and its parent flagged, then "done"."""

    id: str
    site_id: str
    thread_id: str
    kind: SubmissionKind
    message_id: str
    answers: str | None
    sender: str
    recipients: tuple[Recipient, ...]
    subject: str
    raw: str
    size: int
    smtputf8: bool
    status: SubmissionStatus
    created_at: datetime
    due_at: datetime | None
    first_try_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    reason: str = ""
    aftercare: str = ""
