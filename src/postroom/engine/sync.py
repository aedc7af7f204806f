"""Follows a mailbox through a session: what a look has to do is planned purely, then done.

The cursor moves last, in the transaction that stores what it passes.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from postroom.core.errors import PostroomError
from postroom.core.model import Cursor, Event, MailboxStatus, Place, Role, Site, Source, new_id
from postroom.core.policy import past_retention
from postroom.core.ports import Clock, FetchedMessage, MailSession, Steps
from postroom.core.registry import Desk
from postroom.core.store import Intake
from postroom.engine.batches import batches
from postroom.engine.ingest import Ingest
from postroom.engine.read import Arrived
from postroom.engine.syncplan import (
    RESET_LIMIT,
    WINDOW,
    Search,
    SyncPlan,
    first_cursor,
    first_search,
    first_wanted,
    missed,
    of_this_account,
    plan_sync,
    reset_cursor,
    reset_search,
    role_of,
    runs,
    slices,
)

MESSAGE_CAP = 25 * 1024 * 1024
SENT_CAP = 1024 * 1024
"""Of what the owner sent, conversations need the text, not the films."""

QUIET_LOOKS = 60
SELDOM = 10


class RenumberedTooOften(PostroomError):
    """The server changes UIDVALIDITY again and again: reading on would fetch the same mail for ever."""

    code = "renumbered_too_often"


@dataclass(frozen=True, slots=True)
class Sync:
    """What following a mailbox works with."""

    intake: Intake
    ingest: Ingest
    desk: Desk
    clock: Clock
    steps: Steps

    def follow(self, site: Site, session: MailSession, mailbox: str, role: Role) -> "Following":
        """Our place in one mailbox, for as long as the session lasts."""
        return Following(self, site, session, mailbox, role)


class Following:
    """One mailbox through one session. It knows our place, so that a look at nothing new costs no query.

    Every method raises `MailServerError` as the session does; nothing is lost then, and nothing is taken
    twice. It is of no further use afterwards, as the session.
    """

    def __init__(self, sync: Sync, site: Site, session: MailSession, mailbox: str, role: Role) -> None:
        self._sync = sync
        self._site = site
        self._session = session
        self._mailbox = mailbox
        self._role = role
        self._cursor: Cursor | None = None
        self._exists: int | None = None
        self._missed: tuple[range, ...] | None = None
        self._quiet_looks = 0

    async def look(self) -> None:
        """Take everything that is new. Raises `RenumberedTooOften`, having taken nothing."""
        status = await self._session.status(self._mailbox)
        cursor = self._cursor or of_this_account(await self._stored(), self._site)
        grown = self._exists is not None and status.exists > self._exists
        self._exists = status.exists
        plan = plan_sync(cursor, status)
        if plan.kind == "first" or cursor is None:
            await self._begin(plan, status)
        elif plan.kind == "reset":
            await self._renumbered(cursor, status)
        elif plan.kind == "nothing":
            self._cursor = cursor
            if grown:  # there is one more, and it is not above our place
                await self._take_missed()
        else:
            await self._advance(cursor, await self._ranges(plan), plan.beyond)

    async def look_again(self) -> None:
        """Take what became visible late, just below our place: at first each time, later seldom."""
        self._quiet_looks += 1
        if self._quiet_looks <= QUIET_LOOKS or self._quiet_looks % SELDOM == 0:
            await self._take_missed()

    # --- the kinds of looks ---------------------------------------------------------------------------

    async def _begin(self, plan: SyncPlan, status: MailboxStatus) -> None:
        """What the site's `start` asks for, or the rest of it, then our place behind everything."""
        uids = await self._find(first_search(self._site, self._role, self._sync.clock.now()))
        wanted = first_wanted(uids, self._role, plan)
        done = first_cursor(self._site, self._mailbox, status)
        if wanted:
            await self._fetch(runs(wanted), replace(done, next_uid=wanted[0]), first=True)
        await self._take((), self._caught_up(done))

    async def _renumbered(self, old: Cursor, status: MailboxStatus) -> None:
        """Our place before everything that may be new; known mail is told by its content."""
        now = self._sync.clock.now()
        uids = await self._find(reset_search(self._site, old))
        cursor = reset_cursor(self._site, old, status, uids, now)
        data = {"in_a_row": cursor.resets}
        await self._sync.desk.note(
            [Event(new_id("evt", now), self._site.id, "mailbox.reset", now, data=data)]
        )
        await self._take((), cursor)
        if cursor.resets >= RESET_LIMIT:
            raise RenumberedTooOften("the mail server renumbers the mailbox again and again")
        await self._advance(cursor, runs(uid for uid in uids if uid < status.uidnext), status.uidnext)

    async def _advance(self, cursor: Cursor, ranges: Sequence[range], beyond: int) -> None:
        """Take the ranges, our place moving with each batch, to `beyond` at the end."""
        passed = await self._fetch(ranges, cursor, beyond=beyond)
        if passed.next_uid < beyond:
            await self._take((), self._caught_up(replace(passed, next_uid=beyond)))

    async def _take_missed(self) -> None:
        cursor = self._cursor
        if cursor is None:
            return
        if self._missed is None:
            lowest = max(cursor.next_uid - WINDOW, 1)
            taken = await self._sync.intake.taken(self._site.id, self._mailbox, cursor.uidvalidity, lowest)
            self._missed = missed(cursor, taken)
        if self._missed:
            await self._fetch(self._missed, cursor, beyond=cursor.next_uid)

    # --- how it is done -------------------------------------------------------------------------------

    async def _stored(self) -> Cursor | None:
        return await self._sync.intake.cursor(self._site.id, self._mailbox)

    async def _find(self, search: Search) -> tuple[int, ...]:
        return await self._session.find(self._mailbox, unseen=search.unseen, since=search.since)

    async def _ranges(self, plan: SyncPlan) -> tuple[range, ...]:
        if plan.kind == "new":
            return slices(plan.lowest, plan.beyond)
        found = await self._session.find(self._mailbox, lowest=plan.lowest)
        return runs(uid for uid in found if uid < plan.beyond)

    async def _fetch(
        self, ranges: Sequence[range], cursor: Cursor, *, beyond: int | None = None, first: bool = False
    ) -> Cursor:
        """Take what lies in the ranges, batch by batch; our place behind the last one."""
        cap = SENT_CAP if self._role is Role.SENT else MESSAGE_CAP
        async with (
            aclosing(self._session.fetch(self._mailbox, ranges, cap)) as messages,
            aclosing(batches(messages)) as groups,
        ):
            async for group in groups:
                self._sync.steps.reached("sync:fetched")
                arrivals = [self._arrived(message, cursor, first=first) for message in group]
                cursor = replace(cursor, next_uid=max(cursor.next_uid, group[-1].uid + 1))
                if beyond is not None and cursor.next_uid >= beyond:
                    cursor = self._caught_up(cursor)
                await self._take(arrivals, cursor)
        return cursor

    def _caught_up(self, cursor: Cursor) -> Cursor:
        return replace(cursor, updated_at=self._sync.clock.now())

    async def _take(self, arrivals: Sequence[Arrived], cursor: Cursor) -> None:
        """Hand a batch on, with the cursor that passes it."""
        await self._sync.ingest.take(self._site, arrivals, cursor)
        self._cursor, self._missed, self._quiet_looks = cursor, None, 0

    def _arrived(self, fetched: FetchedMessage, cursor: Cursor, *, first: bool) -> Arrived:
        # `unseen` asks for exactly what its search finds, whatever its age.
        asked_for = first and self._site.settings.start == "unseen"
        before = cursor.silent_before
        past = before is not None and fetched.uid < cursor.silent_below and fetched.received_at < before
        forgotten = past_retention(fetched.received_at, self._site, self._sync.clock.now())
        return Arrived(
            source=Source.MAILBOX,
            raw=fetched.headers if fetched.raw is None else fetched.raw,
            received_at=fetched.received_at,
            size=fetched.size,
            place=Place(self._mailbox, cursor.uidvalidity, fetched.uid),
            role=role_of(self._role, fetched.labels),
            flags=frozenset(flag.lower() for flag in fetched.flags),
            history=(past and not asked_for) or forgotten,
            exempt=first and self._site.settings.start != "now",
            oversize=fetched.raw is None,
        )
