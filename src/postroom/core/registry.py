"""Ports of storage: sites, secrets, keys, accounts, and what people and programs read and change by hand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from postroom.core.model import (
    AccountStatus,
    ApiKey,
    Event,
    Message,
    Page,
    SealedToken,
    Site,
    Thread,
    TurnRecord,
)
from postroom.core.submission import Submission


class Sites(Protocol):
    """The sites and whose address is whose."""

    async def get(self, site_id: str) -> Site | None:
        """The site, or None."""
        ...

    async def save(self, site: Site) -> None:
        """Insert (version 1) or update (the stored version must be `site.version - 1`).

        Takes the account's addresses into the site's name. Raises `Conflict` with code `address_taken`
        when one belongs to another site, `conflict` when the version moved on.
        """
        ...

    async def owner_of(self, address: str) -> Site | None:
        """The site that owns the address (normalised), or None."""
        ...

    async def list(self, cursor: str | None, limit: int) -> Page[Site]:
        """Sites in the order of their ids. Raises `InvalidInput` for a cursor that is not ours."""
        ...

    async def delete(self, site_id: str) -> tuple[str, ...]:
        """Delete the site with all that belongs to it, secrets first; the blob digests nobody needs now."""
        ...


class Tokens(Protocol):
    """Secure tokens as sealed envelopes."""

    async def put(self, token: SealedToken) -> SealedToken:
        """Insert, or replace the sealed value of the same (site, type, identifier), keeping its id."""
        ...

    async def get(self, site_id: str, token_type: str, identifier: str) -> SealedToken | None:
        """One token, or None."""
        ...

    async def list(self, site_id: str | None, cursor: str | None, limit: int) -> Page[SealedToken]:
        """Tokens of one site, or of all, in the order of their ids."""
        ...

    async def delete(self, token_id: str, site_id: str | None) -> str | None:
        """Remove one (of that site, when given); the site it belonged to, or None when there was none."""
        ...

    async def rewrap(self, token_id: str, old: str, new: str) -> bool:
        """Replace the envelope if it is still `old`; whether it was."""
        ...

    async def remember(self, name: str, value: str) -> str:
        """Keep a fact of the installation: stores `value` unless `name` has one; gives what is stored."""
        ...

    async def replace(self, name: str, value: str) -> None:
        """Set a fact of the installation anew."""
        ...


class Keys(Protocol):
    """API keys, by hash."""

    async def add(self, key: ApiKey, key_hash: str) -> None:
        """Store a new key; it takes the place of one with the same secret."""
        ...

    async def find(self, key_hash: str, now: datetime) -> ApiKey | None:
        """The key that is not revoked, its last use noted (to the minute), or None."""
        ...

    async def list(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first."""
        ...

    async def revoke(self, key_id: str, now: datetime) -> bool:
        """Revoke; whether there was such a live key."""
        ...


class Accounts(Protocol):
    """What watchers report of their accounts."""

    async def status(self, site_id: str) -> AccountStatus | None:
        """The last report."""
        ...

    async def report(self, status: AccountStatus) -> None:
        """Replace the report."""
        ...


class Lists(Protocol):
    """Lists under a site, newest first. `filters` are column names of the API (state, status, type,
    direction, thread_id, paused …) with their wanted values."""

    async def threads(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Thread]:
        """Conversations, by last activity."""
        ...

    async def messages(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Message]:
        """Messages; their text is there, their bytes are in the blob store."""
        ...

    async def submissions(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Submission]:
        """Submissions with their recipients."""
        ...

    async def events(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Event]:
        """Events."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Messages by `messages.<state>`, submissions by `submissions.<status>`, accounts by
        `accounts.<state>`."""
        ...


class Things(Protocol):
    """Single things by id; None when there is none."""

    async def thread(self, thread_id: str) -> Thread | None:
        """A conversation."""
        ...

    async def message(self, message_id: str) -> Message | None:
        """A message by our key."""
        ...

    async def attachment(self, attachment_id: str) -> Message | None:
        """The message that holds this attachment."""
        ...

    async def submission(self, submission_id: str) -> Submission | None:
        """A submission."""
        ...

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """A run of the agent."""
        ...


class Desk(Protocol):
    """What a person may change by hand, and facts worth noting."""

    async def resume(self, thread_id: str, event: Event) -> bool:
        """End the pause of a thread; whether it was paused."""
        ...

    async def retry(self, message_id: str, now: datetime, event: Event) -> bool:
        """Make a held or failed message due now, with fresh attempts and the note `ASKED_FOR`; whether it
        was one."""
        ...

    async def drop(self, message_id: str, event: Event) -> bool:
        """End a held or failed message without an answer (reason `dropped`); whether it was one."""
        ...

    async def resend(self, submission_id: str, now: datetime, event: Event) -> bool:
        """Queue the same bytes under the same Message-ID again, for those recipients of an `unknown` or
        failed submission whom a server neither took nor refused for good; whether there were any."""
        ...

    async def close(self, submission_id: str, now: datetime, event: Event) -> bool:
        """Let an `unknown` or failed submission rest as `closed`; whether it was one."""
        ...

    async def release(self, owner: str) -> None:
        """Give back every claim of this owner. For a process that knows itself to be the only one of that
        name and has just started: what it held before died with it."""
        ...

    async def note(self, events: Sequence[Event]) -> None:
        """Store events."""
        ...


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one batch of forgetting came to: how many rows went, the digests that no message refers to any
    more, and where the next batch begins; None when there is nothing more to forget."""

    rows: int
    blobs: tuple[str, ...]
    next: int | None


class Upkeep(Protocol):
    """What keeps storage small. Everything may be interrupted anywhere and begun again."""

    async def turn(self, name: str, now: datetime, every: timedelta) -> bool:
        """Whether this work of that name is for the caller now: true for one caller in each span `every`."""
        ...

    async def forget(self, site_id: str, before: datetime, place: int) -> Forgotten:
        """Delete a batch of what the site has finished and is older; begin with `place` 0.

        What is due, on its way or of unknown outcome stays, with the messages it is about.
        """
        ...

    async def unreferred(self, digests: Collection[str]) -> tuple[str, ...]:
        """Those of the digests that no message refers to."""
        ...


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a restored database had left to do: submissions whose outcome nobody knows now, and messages
    that wait until the mailboxes were looked at."""

    submissions: int
    messages: int


class Restoring(Protocol):
    """What happens once after the database was restored from a backup. Since the backup was taken the
    world went on: what was on its way may have been sent, and what was due may have been answered."""

    async def marked(self) -> bool:
        """Whether this database is a copy that `settle` was not called for."""
        ...

    async def settle(self, now: datetime, wait: timedelta) -> Unfinished:
        """Submissions on their way become `unknown` (and are looked for in Sent), messages that are due
        wait so long for what Sent tells of them."""
        ...


class Archive(Protocol):
    """Everything of a site in pages, oldest first."""

    async def threads(self, site_id: str, cursor: str | None, limit: int) -> Page[Thread]:
        """Conversations, by last activity."""
        ...

    async def messages(self, site_id: str, cursor: str | None, limit: int) -> Page[Message]:
        """Messages, by arrival."""
        ...

    async def submissions(self, site_id: str, cursor: str | None, limit: int) -> Page[Submission]:
        """Submissions, by the time they were asked for."""
        ...

    async def events(self, site_id: str, cursor: str | None, limit: int) -> Page[Event]:
        """Events."""
        ...


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is known of an idempotency key. `resource_id`: the id that the first call chose; whoever runs
    the call (again) uses it, so that a crash in between cannot make two."""

    state: Literal["fresh", "running", "done", "other_body"]
    resource_id: str
    status: int = 0
    body: str = ""


class Idempotency(Protocol):
    """Keys of write calls, kept for at least 24 h."""

    async def begin(
        self, scope: str, key: str, body_hash: str, resource_id: str, now: datetime, until: datetime
    ) -> Reservation:
        """Reserve the key. `running` until `until` unless finished; after that another call takes it over."""
        ...

    async def finish(self, scope: str, key: str, status: int, body: str) -> None:
        """Keep the answer for replays."""
        ...

    async def abandon(self, scope: str, key: str) -> None:
        """Forget the key: the call came to nothing and may be made anew."""
        ...

    async def release(self, now: datetime) -> None:
        """Let another call take over each key whose call runs. For a process that knows itself to be the only
        one and has just started: the calls that it ran before died with it."""
        ...
