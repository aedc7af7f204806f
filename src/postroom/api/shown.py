"""What the API answers, as schemas for the OpenAPI document; `views` writes the documents themselves."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from postroom.core.errors import ServerCode
from postroom.core.model import AccountState, Direction, MessageState, Source, TrustLevel
from postroom.core.submission import RecipientStatus, SubmissionKind, SubmissionStatus

T = TypeVar("T")


class Shown(BaseModel):
    """Base of answers."""

    model_config = ConfigDict(extra="forbid")


class ShownPage(Shown, Generic[T]):
    """A page of a list; `next` goes into `cursor` for the following one, null at the end."""

    items: list[T]
    next: str | None


class ProblemError(Shown):
    """One fault of the input."""

    pointer: str = Field(description="JSON pointer (RFC 6901), empty for the whole; `/name` for a parameter.")
    detail: str


class ShownProblem(Shown):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable, to be programmed against.")
    detail: str
    hint: str | None = None
    errors: list[ProblemError] | None = None


class Sealed(Shown):
    """An encrypted secret."""

    id: str | None = Field(description="Null when it was not stored.")
    encrypted_value: str
    stored_in_db: bool


class ShownSealed(Shown):
    """The answer of step 1."""

    success: Literal[True]
    data: Sealed


class ShownToken(Shown):
    """A secure token; never its value."""

    id: str
    site_id: str
    token_type: str
    identifier: str
    created_at: datetime
    updated_at: datetime


class LastError(Shown):
    """Why an account cannot be used."""

    code: str
    detail: str


class ShownAccount(Shown):
    """What the watcher of an account is doing, and since when."""

    state: AccountState
    since: datetime
    last_sync_at: datetime | None
    next_try_at: datetime | None
    last_error: LastError | None


class ShownSite(Shown):
    """A site."""

    id: str
    email: str | None
    environment: bool
    paused: bool
    version: int
    created_at: datetime
    updated_at: datetime
    account: ShownAccount | None


class ShownSiteWithSettings(ShownSite):
    """A site with its settings."""

    settings: dict[str, Any]


class Counts(Shown):
    """What lies in the inbox; null when the check did not get there."""

    total: int | None
    unseen: int | None


class SmtpSide(Shown):
    """What the check found at one server."""

    success: bool
    code: ServerCode
    detail: str
    hint: str
    latency_ms: int | None
    skipped: bool


class ImapSide(SmtpSide):
    """What the check found at the IMAP server."""

    capabilities: list[str]
    messages: Counts


class ShownCheck(Shown):
    """The answer of step 3; `config` is what was tried, without the secret."""

    success: bool
    imap: ImapSide
    smtp: SmtpSide
    config: dict[str, Any]


class ShownRecipient(Shown):
    """What is known of one recipient."""

    status: RecipientStatus
    code: int | None
    text: str


class ShownSend(Shown):
    """What became of a mail within 10 s."""

    success: bool
    status: Literal["sent", "queued", "unknown", "rejected"]
    message_id: str
    submission_id: str
    thread_id: str
    thread_key: str | None
    recipients: dict[str, ShownRecipient]


class ShownIncoming(Shown):
    """What became of a posted mail."""

    status: Literal["accepted", "duplicate"]
    message_id: str | None
    thread_id: str


class ShownAddress(Shown):
    """A mailbox."""

    name: str
    address: str


class ShownAttachment(Shown):
    """An attachment; its bytes are at `/api/attachments/{id}`."""

    id: str
    filename: str
    content_type: str
    disposition: str
    content_id: str | None
    size: int
    sha256: str


class ShownMessage(Shown):
    """A message."""

    id: str
    site_id: str
    thread_id: str
    direction: Direction
    source: Source
    message_id: str
    in_reply_to: list[str]
    references: list[str]
    from_: ShownAddress | None = Field(alias="from")
    reply_to: list[ShownAddress]
    to: list[ShownAddress]
    cc: list[ShownAddress]
    subject: str
    date: datetime | None
    received_at: datetime
    text: str
    new_text: str
    html: str | None
    attachments: list[ShownAttachment]
    trust: TrustLevel
    automatic: str | None
    state: MessageState
    reason: str | None
    notes: list[str]
    attempts: int
    due_at: datetime | None
    answered_by: str | None
    size: int


class ShownThread(Shown):
    """A conversation."""

    id: str
    site_id: str
    thread_key: str
    subject: str
    created_at: datetime
    last_at: datetime
    messages: int
    cites: str | None
    paused: str | None


class ShownThreadWithMessages(ShownThread):
    """A conversation with its latest messages, oldest first."""

    items: list[ShownMessage]
    next: str | None


class ShownSubmission(Shown):
    """One message asked to be sent."""

    id: str
    site_id: str
    thread_id: str
    kind: SubmissionKind
    message_id: str
    answers: str | None
    from_: str = Field(alias="from")
    recipients: dict[str, ShownRecipient]
    subject: str
    size: int
    status: SubmissionStatus
    reason: str | None
    attempts: int
    created_at: datetime
    due_at: datetime | None
    first_try_at: datetime | None
    finished_at: datetime | None


class ShownEvent(Shown):
    """A fact."""

    id: str
    site_id: str
    type: str
    at: datetime
    thread_id: str | None
    message_id: str | None
    submission_id: str | None
    turn_id: str | None
    data: dict[str, Any]


class ShownTurn(Shown):
    """A run of the agent."""

    id: str
    site_id: str
    thread_id: str
    message_id: str
    agent: str
    attempt: int
    outcome: str
    reason: str | None
    started_at: datetime
    finished_at: datetime | None
    waits_until: datetime | None


class ShownCallback(Shown):
    """An answer was taken."""

    status: Literal["accepted"]
    turn_id: str


class ShownKey(Shown):
    """An API key; never its secret."""

    id: str
    label: str
    site_id: str | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class ShownWorker(Shown):
    """A process that watches accounts, with how many it holds."""

    id: str
    host: str
    role: str
    since: datetime
    last_seen_at: datetime
    state: Literal["live", "gone"]
    accounts: int


class ShownNewKey(ShownKey):
    """A key that was just made, with its secret."""

    key: str
