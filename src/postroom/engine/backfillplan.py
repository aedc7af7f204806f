"""What a backfill has to read, in which order and at what pace, as pure functions.

History is what lies below the watcher's place in a mailbox: everything above is the watcher's to read, and to
answer. It is read in the order in which the server received it, over all mailboxes at once, so that a message
finds the conversation that it cites.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from postroom.core.backfills import BackfillRecord
from postroom.core.errors import Conflict
from postroom.core.model import Cursor, MailboxStatus, Site
from postroom.core.policy import past_retention
from postroom.core.ports import MessageFacts
from postroom.engine.syncplan import of_this_account

MESSAGES = 50
"""A batch is one transaction: a crash after it has nothing to fetch again."""

OCTETS = 8 * 1024 * 1024
PAUSE_SECONDS = 1.0
DAY = timedelta(days=1)
SHARE = 0.5
"""Of what the provider allows a day: the rest is for the watcher and for people."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message of the history: where it lies, when the server got it, and how many bytes it will cost."""

    received_at: datetime
    mailbox: str
    uid: int
    octets: int


def below(cursor: Cursor | None, status: MailboxStatus, site: Site) -> int:
    """The UID below which everything is history. Raises `Conflict` while the watcher has not come so far."""
    mine = of_this_account(cursor, site)
    if mine is None or mine.updated_at is None:
        raise Conflict(
            "the service has not read this mailbox yet",
            code="not_watched_yet",
            hint="Start it, wait until `postroom accounts` says watching or polling, and run this again.",
        )
    if mine.uidvalidity != status.uidvalidity:
        raise Conflict(
            "the server has renumbered the mailbox, and the service has not read it since",
            code="mailbox_renumbered",
            hint="Wait until it has, and run this again.",
        )
    return min(mine.next_uid, mine.silent_below)


def untaken(uids: Iterable[int], beyond: int, taken: Collection[int]) -> tuple[int, ...]:
    """Those of the UIDs found that are history, and that nobody has read yet."""
    return tuple(uid for uid in uids if uid < beyond and uid not in taken)


def wanted(
    mailbox: str, facts: Iterable[MessageFacts], cap: int, since: datetime, site: Site, now: datetime
) -> list[Wanted]:
    """What is worth reading: not older than asked for, nor than the site would keep it. Above `cap` bytes
    only the header section will be fetched."""
    return [
        Wanted(fact.received_at, mailbox, fact.uid, min(fact.size, cap))
        for fact in facts
        if fact.received_at >= since and not past_retention(fact.received_at, site, now)
    ]


def in_batches(found: Iterable[Wanted]) -> Iterator[tuple[Wanted, ...]]:
    """Oldest first, in batches of bounded number and size."""
    batch: list[Wanted] = []
    octets = 0
    for one in sorted(found, key=lambda w: (w.received_at, w.mailbox, w.uid)):
        if batch and (len(batch) == MESSAGES or octets + one.octets > OCTETS):
            yield tuple(batch)
            batch, octets = [], 0
        batch.append(one)
        octets += one.octets
    if batch:
        yield tuple(batch)


def by_mailbox(batch: Sequence[Wanted]) -> Mapping[str, list[int]]:
    """The UIDs of a batch, ascending, in each mailbox."""
    found: dict[str, list[int]] = {}
    for one in batch:
        found.setdefault(one.mailbox, []).append(one.uid)
    return {mailbox: sorted(uids) for mailbox, uids in found.items()}


def octets_of(batch: Iterable[Wanted]) -> int:
    """What fetching the batch will cost."""
    return sum(one.octets for one in batch)


def spent(record: BackfillRecord, octets: int, now: datetime) -> BackfillRecord:
    """The record with so many bytes more that are fetched now; when a day is over, another begins."""
    same_day = record.window_at is not None and timedelta() <= now - record.window_at < DAY
    return replace(
        record,
        octets=record.octets + octets,
        window_at=record.window_at if same_day else now,
        window_octets=record.window_octets + octets if same_day else octets,
        updated_at=now,
    )


def allowed_from(
    record: BackfillRecord, octets: int, daily_download: int | None, now: datetime
) -> datetime | None:
    """When so many bytes more may be fetched; None: now. The first batch of a day always may."""
    if daily_download is None or record.window_at is None or not record.window_octets:
        return None
    ends = record.window_at + DAY
    if not record.window_at <= now < ends or record.window_octets + octets <= daily_download * SHARE:
        return None
    return ends
