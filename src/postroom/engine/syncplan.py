"""What a look at a mailbox has to do, as pure functions of our place and the server's word.

Messages are found by UID and by the server's own date, never by flags or the Date header (D1).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from postroom.core.model import Cursor, MailboxStatus, Role, Site

RANGE = 500
WINDOW = 100
SPARSE = 5_000
"""New UIDs above which the server is asked which of them exist: a UID costs nothing to skip, a FETCH does."""

RESETS_IN_A_ROW = timedelta(hours=6)
RESET_LIMIT = 6
OVERLAP = timedelta(days=2)
SENT_LOOKBACK = timedelta(days=30)
SENT_AT_FIRST = 500


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a look at a mailbox has to do. `first`: begin, or go on with it; `reset`: UIDVALIDITY changed,
    begin anew; `new`: take [lowest, beyond); `sparse`: the same, but few of these can exist; `nothing`."""

    kind: Literal["first", "reset", "new", "sparse", "nothing"]
    lowest: int = 0
    beyond: int = 0


def plan_sync(cursor: Cursor | None, status: MailboxStatus) -> SyncPlan:
    """Compare our place with the server's word (RFC 9051 section 2.3.1.1)."""
    if cursor is None:
        return SyncPlan("first", 1, status.uidnext)
    if cursor.updated_at is None:
        same = cursor.uidvalidity == status.uidvalidity
        return SyncPlan("first", cursor.next_uid if same else 1, status.uidnext)
    if cursor.uidvalidity != status.uidvalidity:
        return SyncPlan("reset", 1, status.uidnext)
    if cursor.next_uid >= status.uidnext:
        return SyncPlan("nothing", cursor.next_uid, cursor.next_uid)
    kind: Literal["new", "sparse"] = "sparse" if status.uidnext - cursor.next_uid > SPARSE else "new"
    return SyncPlan(kind, cursor.next_uid, status.uidnext)


def of_this_account(cursor: Cursor | None, site: Site) -> Cursor | None:
    """The cursor, unless it is our place in a mailbox of the account that the site had before."""
    if cursor is None or site.account_since is None:
        return cursor
    if cursor.updated_at is None:
        return cursor if cursor.silent_before == starts_at(site) else None
    return cursor if cursor.updated_at >= site.account_since else None


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


@dataclass(frozen=True, slots=True)
class Search:
    """Which messages a mailbox is asked for, when UIDs alone do not tell."""

    unseen: bool = False
    since: date | None = None


def first_search(site: Site, role: Role, now: datetime) -> Search:
    """What the first look at a mailbox asks for."""
    if role is Role.SENT:
        return Search(since=(now - SENT_LOOKBACK).date())
    if site.settings.start == "unseen":
        return Search(unseen=True)
    return Search(since=day_before(starts_at(site)))


def first_wanted(uids: Sequence[int], role: Role, plan: SyncPlan) -> tuple[int, ...]:
    """Which of the UIDs found the first look takes: what an earlier try took is not fetched again, what
    arrived meanwhile comes with the next look, and of Sent the newest do."""
    found = uids[-SENT_AT_FIRST:] if role is Role.SENT else uids
    return tuple(uid for uid in found if plan.lowest <= uid < plan.beyond)


def first_cursor(site: Site, mailbox: str, status: MailboxStatus) -> Cursor:
    """Our place behind everything; what the server received before the site's start is history.

    Without `updated_at` the first look is not done yet.
    """
    uidnext = status.uidnext
    return Cursor(
        site.id,
        mailbox,
        status.uidvalidity,
        next_uid=uidnext,
        silent_below=uidnext,
        silent_before=starts_at(site),
    )


def reset_search(site: Site, old: Cursor) -> Search:
    """What is asked for after UIDVALIDITY changed: everything since all was taken last. Known mail is told
    by its content, so a little more does no harm."""
    return Search(since=day_before((old.updated_at or starts_at(site)) - OVERLAP))


def reset_cursor(
    site: Site, old: Cursor, status: MailboxStatus, uids: Sequence[int], now: datetime
) -> Cursor:
    """Our place before everything that may be new under the new UIDVALIDITY.

    Changes count as being in a row while each follows the last within hours, and the owner has not saved
    the settings in between.
    """
    follows = old.reset_at is not None and now - old.reset_at < RESETS_IN_A_ROW
    counted = follows and old.reset_at is not None and old.reset_at > site.updated_at
    return Cursor(
        site.id,
        old.mailbox,
        status.uidvalidity,
        next_uid=min((uid for uid in uids if uid < status.uidnext), default=status.uidnext),
        silent_below=status.uidnext,
        silent_before=starts_at(site),
        resets=old.resets + 1 if counted else 1,
        reset_at=now,
        updated_at=old.updated_at,
    )


def role_of(role: Role, labels: Collection[str]) -> Role:
    """As what a message is taken that lies in a mailbox of this role. Gmail's All Mail holds what the owner
    sent beside what came; its labels tell the two apart, and mail to oneself has both."""
    sent = "\\Sent" in labels and "\\Inbox" not in labels
    return Role.SENT if sent else role


def day_before(moment: datetime) -> date:
    """SINCE compares days in the server's time zone (RFC 9051 section 6.4.4)."""
    return (moment - timedelta(days=1)).date()
