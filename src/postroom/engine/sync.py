"""From a mailbox's status to what must be fetched: a pure plan, then its execution.

The cursor moves last, in the transaction that stores what it passes. Messages are found by UID and by the
server's own date, never by flags or the Date header (D1).
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from postroom.core.model import Cursor, Event, MailboxStatus, Place, Role, Site, Source, new_id
from postroom.core.ports import Clock, FetchedMessage, MailSession, Steps
from postroom.core.registry import Desk
from postroom.core.store import Intake
from postroom.engine.ingest import Ingest, Taken
from postroom.engine.read import Arrived

MESSAGE_CAP = 25 * 1024 * 1024
RANGE = 500
BATCH_MESSAGES = 50
BATCH_BYTES = 4 * 1024 * 1024
WINDOW = 100
RESETS_IN_A_ROW = timedelta(hours=24)
SENT_LOOKBACK = timedelta(days=30)
OVERLAP = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a look at a mailbox has to do. `first`: begin; `reset`: UIDVALIDITY changed, begin anew;
    `new`: take [lowest, beyond); `nothing`."""

    kind: Literal["first", "reset", "new", "nothing"]
    lowest: int = 0
    beyond: int = 0


def plan_sync(cursor: Cursor | None, status: MailboxStatus) -> SyncPlan:
    """Compare our place with the server's word (RFC 9051 section 2.3.1.1)."""
    if cursor is None:
        return SyncPlan("first", beyond=status.uidnext)
    if cursor.uidvalidity != status.uidvalidity:
        return SyncPlan("reset", beyond=status.uidnext)
    if cursor.next_uid < status.uidnext:
        return SyncPlan("new", cursor.next_uid, status.uidnext)
    return SyncPlan("nothing")


def missed(cursor: Cursor, taken: frozenset[int]) -> tuple[range, ...]:
    """UIDs just below the cursor that we never saw: a server may show a message late."""
    lowest = max(cursor.silent_below, cursor.next_uid - WINDOW, 1)
    return runs(uid for uid in range(lowest, cursor.next_uid) if uid not in taken)


def runs(uids: Iterable[int]) -> tuple[range, ...]:
    """Ascending UIDs as ranges of neighbours, none longer than the range limit."""
    found: list[range] = []
    for uid in uids:
        if found and found[-1].stop == uid and len(found[-1]) < RANGE:
            found[-1] = range(found[-1].start, uid + 1)
        else:
            found.append(range(uid, uid + 1))
    return tuple(found)


def slices(lowest: int, beyond: int) -> tuple[range, ...]:
    """[lowest, beyond) in ranges of at most the range limit."""
    return tuple(range(start, min(start + RANGE, beyond)) for start in range(lowest, beyond, RANGE))


def starts_at(site: Site) -> datetime:
    """Mail that the server received from this moment on wakes the agent (setting `start`)."""
    if site.settings.start in ("now", "unseen"):
        return site.account_since or site.created_at
    parsed = datetime.fromisoformat(site.settings.start)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class Sync:
    """Looks at one mailbox through a session and takes what is new."""

    def __init__(self, intake: Intake, ingest: Ingest, desk: Desk, clock: Clock, steps: Steps) -> None:
        self._intake = intake
        self._ingest = ingest
        self._desk = desk
        self._clock = clock
        self._steps = steps

    async def look(self, site: Site, session: MailSession, mailbox: str, role: Role) -> Cursor:
        """Take everything that is new in the mailbox; gives our place after it."""
        status = await session.status(mailbox)
        cursor = await self._intake.cursor(site.id, mailbox)
        plan = plan_sync(cursor, status)
        look = _Look(self, site, session, mailbox, role, status)
        if plan.kind == "first" or cursor is None:
            return await look.begin()
        if plan.kind == "reset":
            cursor = await look.reset(cursor)
        if cursor.next_uid < status.uidnext:
            cursor = await look.advance(cursor, slices(cursor.next_uid, status.uidnext), status.uidnext)
        return cursor

    async def look_again(self, site: Site, session: MailSession, mailbox: str, role: Role) -> None:
        """Take what became visible late, just below our place."""
        status = await session.status(mailbox)
        cursor = await self._intake.cursor(site.id, mailbox)
        if cursor is None or cursor.uidvalidity != status.uidvalidity:
            return
        lowest = max(cursor.next_uid - WINDOW, 1)
        taken = await self._intake.taken(site.id, mailbox, cursor.uidvalidity, lowest)
        ranges = missed(cursor, taken)
        if ranges:
            await _Look(self, site, session, mailbox, role, status).advance(cursor, ranges, cursor.next_uid)

    async def take(self, site: Site, arrivals: Sequence[Arrived], cursor: Cursor | None) -> Sequence[Taken]:
        """Hand a batch on, with the cursor that passes it."""
        self._steps.reached("sync:fetched")
        here = replace(cursor, updated_at=self._clock.now()) if cursor else None
        return await self._ingest.take(site, arrivals, here)

    async def note_reset(self, site: Site, resets: int) -> None:
        """Publish that a mailbox was renumbered."""
        now = self._clock.now()
        event = Event(new_id("evt", now), site.id, "mailbox.reset", now, data={"in_a_row": resets})
        await self._desk.note([event])

    def now(self) -> datetime:
        """The present moment."""
        return self._clock.now()


class _Look:
    """One look at one mailbox."""

    def __init__(
        self, sync: Sync, site: Site, session: MailSession, mailbox: str, role: Role, status: MailboxStatus
    ) -> None:
        self._sync = sync
        self._site = site
        self._session = session
        self._mailbox = mailbox
        self._role = role
        self._status = status

    async def begin(self) -> Cursor:
        """The first look: what the site's `start` asks for, then our place behind it."""
        cursor = self._fresh(starts_at(self._site))
        if self._role is Role.SENT:
            since = (self._sync.now() - SENT_LOOKBACK).date()
            uids = await self._session.find(self._mailbox, since=since)
        elif self._site.settings.start == "unseen":
            uids = await self._session.find(self._mailbox, unseen=True)
        else:
            uids = await self._session.find(self._mailbox, since=_day_before(starts_at(self._site)))
        await self._take_exactly(uids, cursor)
        done = replace(cursor, next_uid=self._status.uidnext, silent_before=None)
        await self._sync.take(self._site, (), done)
        return done

    async def reset(self, old: Cursor) -> Cursor:
        """After UIDVALIDITY changed: our place before everything that may be new; known mail is told by
        its content, so only what we never saw counts."""
        now = self._sync.now()
        in_a_row = old.resets + 1 if old.reset_at and now - old.reset_at < RESETS_IN_A_ROW else 1
        await self._sync.note_reset(self._site, in_a_row)
        since = _day_before((old.updated_at or starts_at(self._site)) - OVERLAP)
        uids = await self._session.find(self._mailbox, since=since)
        cursor = replace(
            self._fresh(starts_at(self._site)),
            next_uid=min(uids, default=self._status.uidnext),
            resets=in_a_row,
            reset_at=now,
        )
        await self._sync.take(self._site, (), cursor)
        return cursor

    async def advance(self, cursor: Cursor, ranges: Sequence[range], beyond: int) -> Cursor:
        """Take the ranges in batches, our place moving with each, to `beyond` at the end."""
        async for batch in batches(self._session.fetch(self._mailbox, ranges, MESSAGE_CAP)):
            cursor = replace(cursor, next_uid=max(cursor.next_uid, batch[-1].uid + 1))
            await self._sync.take(self._site, [self._arrived(m, cursor) for m in batch], cursor)
        if cursor.next_uid < beyond:
            cursor = replace(cursor, next_uid=beyond)
            await self._sync.take(self._site, (), cursor)
        return cursor

    async def _take_exactly(self, uids: Sequence[int], cursor: Cursor) -> None:
        async for batch in batches(self._session.fetch(self._mailbox, runs(uids), MESSAGE_CAP)):
            await self._sync.take(self._site, [self._arrived(m, cursor, first=True) for m in batch], None)

    def _fresh(self, silent_before: datetime) -> Cursor:
        # `unseen` asks for exactly what its search finds, whatever its age.
        silent = None if self._site.settings.start == "unseen" else silent_before
        uidnext = self._status.uidnext
        return Cursor(
            self._site.id,
            self._mailbox,
            self._status.uidvalidity,
            next_uid=uidnext,
            silent_below=uidnext,
            silent_before=silent,
        )

    def _arrived(self, fetched: FetchedMessage, cursor: Cursor, *, first: bool = False) -> Arrived:
        silent = cursor.silent_before is not None and fetched.uid < cursor.silent_below
        before = cursor.silent_before
        return Arrived(
            source=Source.MAILBOX,
            raw=fetched.headers if fetched.raw is None else fetched.raw,
            received_at=fetched.received_at,
            size=fetched.size,
            place=Place(self._mailbox, self._status.uidvalidity, fetched.uid),
            role=self._role,
            flags=frozenset(flag.lower() for flag in fetched.flags),
            history=silent and before is not None and fetched.received_at < before,
            exempt=first and self._site.settings.start != "now",
            oversize=fetched.raw is None,
        )


def _day_before(moment: datetime) -> date:
    # SINCE compares days in the server's time zone (RFC 9051 section 6.4.4).
    return (moment - timedelta(days=1)).date()


async def batches(messages: AsyncIterator[FetchedMessage]) -> AsyncIterator[list[FetchedMessage]]:
    """Messages in groups of bounded number and size, in their order."""
    batch: list[FetchedMessage] = []
    size = 0
    async for message in messages:
        batch.append(message)
        size += message.size
        if len(batch) >= BATCH_MESSAGES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
