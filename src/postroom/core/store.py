"""Ports of storage on the way of a message: intake, answering, sending.

Every write after a claim compares the claim's token and raises `LeaseLost` when it is no longer ours,
having written nothing.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from postroom.core.backfills import Backfills
from postroom.core.model import (
    Claim,
    Cursor,
    Event,
    Message,
    MessageState,
    Place,
    Site,
    Thread,
    TurnRecord,
)
from postroom.core.registry import (
    Accounts,
    Archive,
    Desk,
    Idempotency,
    Keys,
    Lists,
    Restoring,
    Sites,
    Things,
    Tokens,
    Upkeep,
)
from postroom.core.shares import Fence, Holding, Shares
from postroom.core.submission import Submission


@dataclass(frozen=True, slots=True)
class Cited:
    """A known message that a new mail cites, and who takes part in its conversation (normalised)."""

    message_id: str
    thread_id: str
    thread_key: str
    participants: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReportedStatus:
    """What a delivery report says of one recipient (RFC 3464); "accepted" is the word of a copy found in
    Sent, which settles an `unknown` submission and changes nothing else."""

    address: str
    status: Literal["accepted", "delivered", "failed", "delayed"]
    code: str
    text: str


class IntakeTransaction(Protocol):
    """One transaction in which arrivals become messages. Serialised per site: what `copies` and `cited`
    say stays true until it ends. Nothing is kept when the block raises."""

    async def expect(self, message_ids: Collection[str], content_keys: Collection[str]) -> None:
        """Say before a batch which Message-IDs (its own and those it cites), and for mail without one which
        content keys, `copies` and `cited` will be asked for: what is new then costs no look each."""
        ...

    async def copies(self, message_id: str, content_key: str) -> Sequence[Message]:
        """Messages of this site with this Message-ID; when it is empty, those without one and with this
        content key."""
        ...

    async def cited(self, message_ids: Sequence[str]) -> Sequence[Cited]:
        """Known messages of this site with these Message-IDs."""
        ...

    async def add(self, message: Message, place: Place | None, thread: Thread | None, event: Event) -> None:
        """Store a message and where it lies; `thread` is stored first when it begins with this message."""
        ...

    async def add_place(self, message: Message, place: Place) -> None:
        """A further copy of a known message."""
        ...

    async def answered_elsewhere(self, message_ids: Sequence[str], event: Event) -> Sequence[str]:
        """Messages with these Message-IDs that are still due (and not being answered) become `no_answer`,
        `answered_elsewhere`; gives their ids. The Message-IDs are remembered for `replied`."""
        ...

    async def replied(self, message_ids: Sequence[str]) -> frozenset[str]:
        """Those of the Message-IDs that mail found in Sent answers (as told to `answered_elsewhere`)."""
        ...

    async def settle_unknown(self, message_ids: Sequence[str], event: Event) -> Sequence[str]:
        """Submissions with these Message-IDs whose outcome is `unknown` were accepted: somebody has them;
        gives their ids."""
        ...

    async def twin(self, sent: Message) -> str | None:
        """The Message-ID of a submission of `unknown` outcome whose mail this copy is, though a server gave
        it another Message-ID."""
        ...

    async def report(self, message_id: str, statuses: Sequence[ReportedStatus], event: Event) -> str | None:
        """Note a report on the submission with this Message-ID (an `unknown` one is settled by it); its id,
        or None when there is none. With an empty address the status goes to all its recipients."""
        ...

    async def move_cursor(self, cursor: Cursor) -> None:
        """Set the place in a mailbox. Comes last."""
        ...


class Intake(Protocol):
    """Where sync and ingest write."""

    def transaction(self, site_id: str) -> AbstractAsyncContextManager[IntakeTransaction]:
        """Open one; it commits when the block ends without an exception."""
        ...

    async def cursor(self, site_id: str, mailbox: str) -> Cursor | None:
        """Our place in this mailbox; None before the first look."""
        ...

    async def taken(self, site_id: str, mailbox: str, uidvalidity: int, lowest: int) -> frozenset[int]:
        """UIDs from `lowest` on that were taken already."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """How many answers went out lately, and whether this correspondent was ever answered before."""

    thread_10_min: int
    thread_2_hours: int
    correspondent_day: int
    new_senders_hour: int
    sender_known: bool


@dataclass(frozen=True, slots=True)
class AnswerWork:
    """A claimed thread: its oldest due message, and what answering it has to know, as of the claim.

    `conversation`: all messages of the thread, oldest first; None when they are many, and to be asked for.
    `counts` is None where the site has lifted every cap, or the message has no sender.
    """

    claim: Claim
    thread: Thread
    message: Message
    site: Site
    conversation: tuple[Message, ...] | None
    counts: AnswerCounts | None


@dataclass(frozen=True, slots=True)
class SubmissionWork:
    """A claimed submission."""

    claim: Claim
    submission: Submission

    @classmethod
    def at_birth(cls, submission: Submission, owner: str, until: datetime) -> "SubmissionWork":
        """A submission that is to be stored as claimed: who writes it sends it, without claiming first."""
        return cls(Claim(submission.id, submission.site_id, owner, 1, until), submission)


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a claimed message ends, or when it is due again. Written in one transaction.

    With `submission` and `sent` (the outgoing message) they are stored too, the submission under the claim
    `sending` when there is one; `pause` pauses the thread with that reason; `turn` replaces the record of the
    turn.
    """

    state: MessageState
    reason: str
    due_at: datetime | None = None
    attempts: int = 0
    submission: Submission | None = None
    sending: Claim | None = None
    sent: Message | None = None
    turn: TurnRecord | None = None
    pause: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """What was seen as a message was settled: whether another one of its thread is DUE (one that comes later
    rings for itself), and how often its site has changed by now."""

    another_due: bool
    site_version: int


@dataclass(frozen=True, slots=True)
class Due:
    """A thread or a submission that waits for somebody to take it."""

    site_id: str
    id: str


class Answering(Protocol):
    """Claims and settles threads. One live claim a thread; oldest due message first; a message in back-off
    holds its thread; threads of paused sites and paused threads are not claimed."""

    async def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        """Threads with a due message and no live claim: of each site the one that is due longest, then of
        each the second, and so on."""
        ...

    async def claim(
        self, thread_id: str, owner: str, now: datetime, until: datetime, message_id: str | None = None
    ) -> AnswerWork | None:
        """Take the thread's oldest DUE message if it is due now; None when there is nothing to do.

        `message_id` (our key) takes that very message although its time has not come (a callback).
        """
        ...

    async def renew(self, claim: Claim, until: datetime) -> Claim:
        """The same claim for longer."""
        ...

    async def conversation(self, thread_id: str) -> tuple[Message, ...]:
        """All messages of the thread, oldest first."""
        ...

    async def counts(self, site_id: str, thread_id: str, correspondent: str, now: datetime) -> AnswerCounts:
        """What the caps are held against."""
        ...

    async def begin(self, claim: Claim, turn: TurnRecord) -> None:
        """Record that the agent is asked now, and count the attempt."""
        ...

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """Write the end of it and give the thread back."""
        ...


class Outbox(Protocol):
    """Submissions and their claims."""

    async def add(
        self,
        submission: Submission,
        sent: Message,
        thread: Thread | None,
        event: Event,
        sending: Claim | None = None,
    ) -> bool:
        """Store a submission with its outgoing message (and the thread it begins), under the claim `sending`
        when there is one.

        False, and nothing written, when a submission with this id exists.
        """
        ...

    async def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        """Submissions that are queued and due, or transmitting, without a live claim; the sites take turns
        as in `Answering.due`."""
        ...

    async def claim(
        self, submission_id: str, owner: str, now: datetime, until: datetime
    ) -> SubmissionWork | None:
        """Take it if it is one of those; None otherwise."""
        ...

    async def renew(self, claim: Claim, until: datetime) -> Claim:
        """The same claim for longer."""
        ...

    async def transmitting(self, claim: Claim, now: datetime) -> None:
        """Commit that bytes are about to go (D9). From here on it is never sent again by itself."""
        ...

    async def record(self, claim: Claim, submission: Submission, events: Sequence[Event]) -> None:
        """Write what is known now (status, recipients, times, aftercare …) and give it back."""
        ...

    async def cancel(self, submission_id: str, now: datetime) -> bool:
        """Cancel what is queued and not claimed; whether it was."""
        ...


@dataclass(frozen=True, slots=True)
class AftercareWork:
    """A sent submission whose copy and flags are still owed. `places`: copies of the message it answers."""

    submission: Submission
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A message whose turn ended at `at` with no answer to send, and where its copies lie."""

    at: datetime
    places: tuple[Place, ...]


class Aftercare(Protocol):
    """What remains to be done in the mailbox after a submission; done by the account's own watcher."""

    async def due(self, site_id: str, limit: int) -> tuple[AftercareWork, ...]:
        """Oldest first."""
        ...

    async def done(self, submission_ids: Sequence[str], outcome: str) -> None:
        """Note the outcome ("done", or a short reason why not)."""
        ...

    async def unanswered(self, site_id: str, after: datetime, limit: int) -> tuple[Unanswered, ...]:
        """What the agent chose not to answer after this moment, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class HeldStore:
    """Where the watcher of an account writes. Every write raises `LeaseLost`, having written nothing, once
    the account is held by another."""

    accounts: Accounts
    intake: Intake
    aftercare: Aftercare
    desk: Desk
    fence: Fence


@dataclass(frozen=True, slots=True)
class Store:
    """All of storage, handed to the engine as one value."""

    sites: Sites
    tokens: Tokens
    keys: Keys
    accounts: Accounts
    intake: Intake
    answering: Answering
    outbox: Outbox
    aftercare: Aftercare
    lists: Lists
    things: Things
    desk: Desk
    idempotency: Idempotency
    upkeep: Upkeep
    archive: Archive
    backfills: Backfills
    restoring: Restoring
    shares: Shares
    held: Callable[[Holding], HeldStore]
