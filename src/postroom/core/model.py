"""Our nouns: frozen values with no behaviour beyond what they are."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from os import getpid, urandom
from typing import Any, Generic, TypeVar

from postroom.core.settings import Security, SiteSettings
from postroom.mail.message import Address

T = TypeVar("T")

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_AT_ONCE = 256


def new_id(kind: str, now: datetime) -> str:
    """A key that sorts by time: `kind`, an underscore, 26 characters of microseconds (52 bits) and chance."""
    number = (int(now.timestamp() * 1_000_000) << 78) | _chance()
    high, low = divmod(number, 1 << 65)
    return f"{kind}_{_thirteen(high)}{_thirteen(low)}"


def _thirteen(number: int) -> str:
    """65 bits in base 32."""
    return "".join([_CROCKFORD[(number >> shift) & 31] for shift in range(60, -5, -5)])


_drawn: dict[int, deque[bytes]] = {}


def _chance() -> int:
    """78 bits that were never given before, drawn for many ids at once: each call to the system lets other
    threads run, which takes ten times as long as the call. A forked process draws its own."""
    drawn = _drawn.setdefault(getpid(), deque())
    try:
        ten = drawn.popleft()
    except IndexError:
        many = urandom(10 * _AT_ONCE)
        drawn.extend(many[at : at + 10] for at in range(10, len(many), 10))
        ten = many[:10]
    return int.from_bytes(ten) >> 2


# --- sites and accounts -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Site:
    """A tenant: one mailbox, one agent, its policy.

    `document` is what was set, `settings` the same with defaults. `environment`: set by the operator's
    environment, read-only for REST. `account_since`: when the present account (address, servers, user) was
    configured; None without one. `version` grows with each change. `forgotten_before`: mail that the
    server received before this moment was handled and may have been deleted since (retention).
    """

    id: str
    document: Mapping[str, Any]
    settings: SiteSettings
    environment: bool
    version: int
    account_since: datetime | None
    created_at: datetime
    updated_at: datetime
    forgotten_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """One mail server as configured. `trusted`: named by the operator, so it may be a private address."""

    host: str
    port: int
    security: Security
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Login:
    """What it takes to log in. `mechanism` is "password" or "oauth" (then `secret` is an access token)."""

    server: Server
    username: str
    secret: str = field(repr=False)
    mechanism: str = "password"


class AccountState(StrEnum):
    """What the watcher of an account is doing."""

    CONNECTING = "connecting"
    WATCHING = "watching"
    POLLING = "polling"
    BACKING_OFF = "backing_off"
    AUTH_FAILED = "auth_failed"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The state of a site's account with since when, and what its owner should know."""

    site_id: str
    state: AccountState
    since: datetime
    last_sync_at: datetime | None = None
    next_try_at: datetime | None = None
    error_code: str = ""
    error_text: str = ""
    failures: int = 0
    refusals: int = 0


class Role(StrEnum):
    """What a mailbox is for (RFC 6154)."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    JUNK = "junk"
    TRASH = "trash"
    ARCHIVE = "archive"
    ALL = "all"


# --- places in mailboxes ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """What a server says of a mailbox (RFC 9051 section 7.2.1, 7.2.2)."""

    uidvalidity: int
    uidnext: int
    exists: int
    highest_modseq: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Our durable place in one mailbox. Everything below `next_uid` was taken.

    A message below UID `silent_below` that the server received before `silent_before` is history: it wakes
    nobody. `resets`: changes of UIDVALIDITY in a row without quiet between them, the last at `reset_at`.
    """

    site_id: str
    mailbox: str
    uidvalidity: int
    next_uid: int
    silent_below: int = 0
    silent_before: datetime | None = None
    resets: int = 0
    reset_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one copy of a message lies: (account, mailbox, UIDVALIDITY, UID), D1."""

    mailbox: str
    uidvalidity: int
    uid: int


# --- messages and threads -----------------------------------------------------------------------


class Direction(StrEnum):
    """Which way a message went, seen from the account."""

    IN = "in"
    OUT = "out"


class Source(StrEnum):
    """How a message came to us."""

    MAILBOX = "mailbox"
    WEBHOOK = "webhook"
    SENT = "sent"
    OURS = "ours"


class MessageState(StrEnum):
    """Where a message stands. Every one but DUE is final until a person acts (D8)."""

    DUE = "due"
    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    HELD = "held"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    SENT = "sent"


class TrustLevel(StrEnum):
    """Who wrote it, as far as can be known (D5)."""

    VERIFIED = "verified"
    CLAIMED = "claimed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AttachmentInfo:
    """An attachment without its bytes. `index` finds it again in the raw message."""

    id: str
    index: int
    filename: str
    content_type: str
    size: int
    sha256: str
    content_id: str = ""
    disposition: str = "attachment"


ASKED_FOR = "asked_for"
"""The note of a message that is answered however old it is: a person or the setting `start` asked for it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One RFC 5322 message as stored. `id` is our key, `message_id` the header without angle brackets.

    `received_at`: when the account's server got it (INTERNALDATE) or the webhook was called.
    `reason`: a stable code for the state. `content_key` identifies the body (D2). `raw`: digest of the
    exact bytes in the blob store. `answered_by`: the submission that answers it.
    """

    id: str
    site_id: str
    thread_id: str
    direction: Direction
    source: Source
    message_id: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    sender: Address | None
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    date: datetime | None
    received_at: datetime
    text: str
    new_text: str
    html: str | None
    attachments: tuple[AttachmentInfo, ...]
    trust: TrustLevel
    content_key: str
    raw: str
    size: int
    state: MessageState
    reason: str = ""
    automatic: str = ""
    notes: tuple[str, ...] = ()
    due_at: datetime | None = None
    attempts: int = 0
    answered_by: str | None = None
    delivered_to: str = ""


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation. `thread_key` is how the source rule names it (B6); `cites`: the conversation that a
    stranger's mail named without belonging to it (D3)."""

    id: str
    site_id: str
    thread_key: str
    subject: str
    created_at: datetime
    last_at: datetime
    messages: int = 0
    cites: str | None = None
    paused: str = ""


# --- claims, turns and answers ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """A due row taken for a while. Every write compares `token`; when it is no longer ours the write
    raises `LeaseLost` and nothing is written."""

    id: str
    site_id: str
    owner: str
    token: int
    until: datetime


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One run of the agent. `outcome`: running, waiting (for a callback), answered, nothing, failed,
    retry, lost. `token_hash` opens the turn's own URLs; `waits_until` ends a callback's time."""

    id: str
    site_id: str
    thread_id: str
    message_id: str
    agent: str
    attempt: int
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str = "running"
    reason: str = ""
    token_hash: str = ""
    waits_until: datetime | None = None


# --- the rest -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """A fact we publish. `data` holds codes, ids and counts; a turn's notes are the one text in it."""

    id: str
    site_id: str
    type: str
    at: datetime
    thread_id: str | None = None
    message_id: str | None = None
    submission_id: str | None = None
    turn_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `site_id` None means an admin key."""

    id: str
    label: str
    site_id: str | None
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A secure token as stored: the envelope, never the value."""

    id: str
    site_id: str
    token_type: str
    identifier: str
    sealed: str = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A slice of a list, newest first unless said otherwise; `next` opens the following one."""

    items: tuple[T, ...]
    next: str | None = None


class BellKind(StrEnum):
    """What a bell asks to look at: a thread, a submission, what is owed to a site's mailbox, or a site that
    has changed."""

    THREAD = "thread"
    SUBMISSION = "submission"
    ACCOUNT = "account"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class Bell:
    """ "Look, this is due": it may ring twice, late or never; the row is the truth.

    `site_id`: whose it is, where the ringer knows, so that the many of one site are not put before others'.
    """

    kind: BellKind
    id: str
    at: datetime | None = None
    site_id: str = ""
