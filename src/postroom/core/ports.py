"""What the engine needs from outside: small promises that adapters, agents, jobs and storage keep.

Rows are the truth: what is due stands in the store; a bell only says "look". Every write after a claim
compares the claim's token and raises `LeaseLost` when it is no longer ours, having written nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from postroom.core.agent import Agent
from postroom.core.model import Bell, Login, MailboxStatus, Role, Server, Site
from postroom.core.submission import Envelope, SmtpReply

# --- time, crashes, bells, bytes, secrets -------------------------------------------------------


class Clock(Protocol):
    """Time, handed in so that tests can move it."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` of this clock have passed."""
        ...


class Steps(Protocol):
    """The seam at which the crash test kills; a no-op in production."""

    def reached(self, step: str) -> None:
        """Called at every arrow of the way of a message, before what comes next; must return at once."""
        ...


class NoSteps:
    """`Steps` in production: nothing happens."""

    def reached(self, step: str) -> None:
        """Do nothing."""


class Bells(Protocol):
    """Carries "look, this is due". A bell may be lost, doubled or late without harm."""

    async def ring(self, bell: Bell) -> None:
        """Ask that `bell` is heard at `bell.at` (None: now), by some worker, once or more or never."""
        ...

    def heard(self) -> AsyncIterator[Bell]:
        """Bells as they fall due, without end, until `close`."""
        ...

    async def close(self) -> None:
        """Stop hearing; bells that wait are dropped (the sweep rings again)."""
        ...


class Blobs(Protocol):
    """Exact bytes by digest (SHA-256, lower-case hex)."""

    async def put(self, data: bytes) -> str:
        """Store durably (synced before it returns) and give the digest; equal bytes are stored once."""
        ...

    async def get(self, digest: str) -> bytes:
        """The bytes. Raises `NotFound` when there are none."""
        ...

    async def delete(self, digest: str) -> None:
        """Remove; nothing happens when it is gone already."""
        ...

    def older(self, than: datetime) -> AsyncIterator[tuple[str, ...]]:
        """Digests, in batches, of what was put last before this moment."""
        ...

    async def discard(self, digest: str, put_before: datetime) -> bool:
        """Remove it unless it was put (again) since this moment; whether it is gone."""
        ...


class Vault(Protocol):
    """Seals secrets: AES-256-GCM envelope, a data key each, a ring of key-encryption keys."""

    def seal(self, value: str, context: Sequence[str]) -> str:
        """An opaque text that only `open` with the same context and a ring holding the key can read."""
        ...

    def open(self, sealed: str, context: Sequence[str]) -> str:
        """The value. Raises `PostroomError` (code `wrong_key` or `damaged_secret`) otherwise."""
        ...

    def rewrap(self, sealed: str) -> str | None:
        """The same secret under the newest key; None when it already is."""
        ...


class Credentials(Protocol):
    """The secrets a site uses: from the operator's environment, else from the vault."""

    async def find(self, site_id: str, token_type: str, identifier: str) -> str | None:
        """The plain value, or None when none is stored. Never logged, never returned by an API."""
        ...


# --- mail servers -------------------------------------------------------------------------------


class Hosts(Protocol):
    """Decides which hosts may be connected to (D10)."""

    async def judge(self, server: Server) -> str:
        """The address to connect to, resolved once and judged.

        Raises `MailServerError` with `dns_failed` or `host_not_allowed`.
        """
        ...


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """One message as fetched. `raw` is None when it was larger than the cap: then `headers` has its header
    section. A message that vanished in between is simply not among the results."""

    uid: int
    flags: frozenset[str]
    received_at: datetime
    size: int
    raw: bytes | None = field(repr=False)
    headers: bytes = field(default=b"", repr=False)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What a server says of a message without showing it: when it got it (INTERNALDATE), and its size."""

    uid: int
    received_at: datetime
    size: int


class MailSession(Protocol):
    """A logged-in connection to one account. Any method raises `MailServerError` when it fails; the
    connection is then of no further use. Not for two tasks at once, but for `interrupt`."""

    async def roles(self) -> Mapping[Role, str]:
        """Which mailbox serves which purpose (RFC 6154, else by well-known names)."""
        ...

    async def status(self, mailbox: str) -> MailboxStatus:
        """Selects the mailbox if need be and says how it stands now, after a round trip to the server."""
        ...

    def fetch(self, mailbox: str, uids: Sequence[range], cap: int) -> AsyncGenerator[FetchedMessage, None]:
        """Messages whose UIDs lie in `uids`, ascending, by BODY.PEEK; above `cap` bytes: headers only.

        Never yields a UID outside the ranges, whatever the server says.
        """
        ...

    async def find(
        self,
        mailbox: str,
        *,
        message_id: str = "",
        unseen: bool = False,
        since: date | None = None,
        lowest: int = 1,
    ) -> tuple[int, ...]:
        """UIDs from `lowest` on, ascending, of messages that fit every criterion given: this Message-ID,
        without the Seen flag, received (INTERNALDATE) on this day or later. Large mailboxes are asked in
        ranges small enough for any server's line limit."""
        ...

    async def facts(self, mailbox: str, uids: Sequence[range]) -> tuple[MessageFacts, ...]:
        """Date and size of those messages with UIDs in `uids` that are there, ascending; no content."""
        ...

    async def flag(self, mailbox: str, uids: Collection[int], flags: Sequence[str]) -> None:
        """Add flags to the messages that are still there."""
        ...

    async def append(self, mailbox: str, raw: bytes, flags: Sequence[str]) -> None:
        """Store a copy in the mailbox."""
        ...

    async def wait(self, mailbox: str, seconds: float) -> bool:
        """Wait until the server announces a change (True) or `seconds` passed (False).

        IDLE where the server has it (`pushes` is then True), renewed as the provider needs; else a plain
        wait. `interrupt()` from another task ends it at once with True.
        """
        ...

    @property
    def pushes(self) -> bool:
        """Whether the server announces changes by itself (IDLE, RFC 2177)."""
        ...

    def interrupt(self) -> None:
        """End a running `wait`, or the next one at its start."""
        ...


@dataclass(frozen=True, slots=True)
class Probe:
    """What a connection check found at one server. `latency` in seconds, from dialling to being logged in."""

    latency: float
    capabilities: tuple[str, ...]
    total: int | None = None
    unseen: int | None = None


class MailAccess(Protocol):
    """Reads mailboxes over IMAP."""

    def open(self, login: Login) -> AbstractAsyncContextManager[MailSession]:
        """Connect and log in; the connection is closed on leaving. Raises `MailServerError`."""
        ...

    async def probe(self, login: Login) -> Probe:
        """Connect, log in, count the inbox, log out. Raises `MailServerError`."""
        ...


class MailSubmission(Protocol):
    """Hands finished bytes to a submission server (RFC 6409)."""

    async def submit(
        self, login: Login, envelope: Envelope, raw: bytes, transmitting: Callable[[], Awaitable[None]]
    ) -> Mapping[str, SmtpReply]:
        """One reply per recipient: the refusal of its RCPT, or the reply after the final dot.

        `transmitting` is awaited after the server's 354 and before the first byte of the message. Raises
        `MailServerError` when the server took nothing and nobody got an answer; `OutcomeUnknown` when the
        connection failed after `transmitting` returned and before the reply was read.
        """
        ...

    async def probe(self, login: Login) -> Probe:
        """Connect, log in, send nothing, quit. Raises `MailServerError`."""
        ...

    async def close(self) -> None:
        """Close the connections that are kept."""
        ...


class Agents(Protocol):
    """Which agent answers for a site."""

    async def for_site(self, site: Site) -> Agent:
        """The agent, ready to be asked. Raises `AgentFailed` when it cannot be built."""
        ...
