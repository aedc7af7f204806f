"""Reads history that a person asked for: stored, threaded, and waking nobody.

It has a session of its own beside the watcher's, so an account has two connections at most. Whatever ends it,
a crash included, leaves what was taken; the next run finds that by the places of messages and fetches no body
twice.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from postroom.core.backfills import BackfillRecord, Backfills
from postroom.core.errors import Conflict, LeaseLost, MailServerError, NotFound, PostroomError, ServerCode
from postroom.core.model import Claim, Login, Place, Role, Site, Source
from postroom.core.ports import Clock, FetchedMessage, MailAccess, MailSession, Steps
from postroom.core.providers import Provider, provider_for
from postroom.core.registry import Sites
from postroom.core.store import Intake
from postroom.engine.accounts import Logins
from postroom.engine.backfillplan import (
    PAUSE_SECONDS,
    Wanted,
    allowed_from,
    below,
    by_mailbox,
    in_batches,
    octets_of,
    spent,
    untaken,
    wanted,
)
from postroom.engine.ingest import TRIES, Ingest
from postroom.engine.lease import LEASE, kept
from postroom.engine.read import Arrived
from postroom.engine.retry import Trouble, reconnect_after, trouble_of
from postroom.engine.rounds import followed_mailboxes
from postroom.engine.sync import MESSAGE_CAP, SENT_CAP
from postroom.engine.syncplan import day_before, runs

PATIENCE = 10
"""Failures in a row without a batch between them."""

ASK_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far a run is. `found`: messages of the history asked for; `known` of them were taken before this
    run, `read` in it, `octets` its bytes. `until`: when it goes on, while `waiting` for `reason`: `running`
    (another process is at it), `daily_limit`, or the code of a fault."""

    state: Literal["looking", "reading", "waiting", "done"]
    found: int = 0
    known: int = 0
    read: int = 0
    octets: int = 0
    until: datetime | None = None
    reason: str = ""


Tell = Callable[[BackfillProgress], None]


class _DayIsSpent(Exception):
    """What the provider allows a day was read."""

    def __init__(self, until: datetime) -> None:
        super().__init__("the day's share was read")
        self.until = until


@dataclass(frozen=True, slots=True)
class Backfill:
    """What reading history works with. `owner`: whose claim on a site's backfill it is; `provider`: who runs
    the server of this name."""

    sites: Sites
    logins: Logins
    access: MailAccess
    intake: Intake
    ingest: Ingest
    backfills: Backfills
    clock: Clock
    steps: Steps
    owner: str
    provider: Callable[[str], Provider] = provider_for

    async def run(self, site_id: str, days: int, tell: Tell) -> BackfillProgress:
        """Read what the site's mailboxes received in the last `days` days, as history; gives how it ended.

        Waits where the provider asks for that, and tries again where that may help. Raises `NotFound` for a
        site that does not exist, `Conflict` when it cannot be read or another process does, and the last
        `PostroomError` when it cannot go on.
        """
        await self.login(site_id)
        since = self.clock.now() - timedelta(days=days)
        claim, record = await self._claimed(site_id, since, tell)
        try:
            async with kept(claim, self.backfills.renew, self.clock):
                return await _Run(self, claim, record, tell).to_its_end()
        finally:
            await self.backfills.release(claim)

    async def login(self, site_id: str) -> tuple[Site, Login]:
        """The site and how its mailboxes are reached. Raises `NotFound`, and `Conflict` when it has none."""
        site = await self.sites.get(site_id)
        if site is None:
            raise NotFound("there is no such site")
        login = await self.logins.access(site)
        if login is None:
            raise Conflict(
                "the site has no mailbox that can be read",
                hint="Give it an incoming server and a password first.",
            )
        return site, login

    async def _claimed(self, site_id: str, since: datetime, tell: Tell) -> tuple[Claim, BackfillRecord]:
        """Ours, or what a process that died left behind, once its claim has run out."""
        ends = self.clock.now() + LEASE * 1.5
        while True:
            now = self.clock.now()
            begun = await self.backfills.begin(site_id, since, self.owner, now, now + LEASE)
            if begun is not None:
                return begun
            if now >= ends:
                raise Conflict("a backfill of this site is running already", code="running")
            tell(BackfillProgress("waiting", until=ends, reason="running"))
            await self.clock.sleep(ASK_AGAIN_SECONDS)


class _Run:
    """One run, over as many sessions as it takes."""

    def __init__(self, parts: Backfill, claim: Claim, record: BackfillRecord, tell: Tell) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._claim = claim
        self._record = record
        self._tell = tell
        self._progress = BackfillProgress("looking")
        self._failures = 0

    async def to_its_end(self) -> BackfillProgress:
        """Session after session until everything is read. Raises what cannot be waited out."""
        while True:
            try:
                site, login = await self._parts.login(self._claim.site_id)
                async with self._parts.access.open(login) as session:
                    await _Session(self, self._parts, site, login, session).read()
                await self._note(replace(self._record, finished_at=self._clock.now()))
                self.advance(replace(self._progress, state="done"))
                return self._progress
            except _DayIsSpent as exc:
                await self._wait(exc.until, "daily_limit")
            except LeaseLost:
                raise
            except PostroomError as exc:
                await self._wait_out(exc)

    async def pay(self, octets: int, daily_download: int | None) -> None:
        """Note what is about to be fetched. Raises `_DayIsSpent`."""
        until = allowed_from(self._record, octets, daily_download, self._clock.now())
        if until is not None:
            raise _DayIsSpent(until)
        await self._note(spent(self._record, octets, self._clock.now()))

    async def took(self, messages: int, octets: int) -> None:
        """Count a batch that is stored."""
        self._failures = 0
        read, paid = self._progress.read + messages, self._progress.octets + octets
        self.advance(replace(self._progress, state="reading", read=read, octets=paid))
        await self._note(replace(self._record, messages=self._record.messages + messages))

    def looked(self, found: int, known: int) -> None:
        """Note what there is to read. What this run read before is among what is known by now."""
        before = min(self._progress.read, known)
        self.advance(replace(self._progress, state="reading", found=found, known=known - before, until=None))

    def advance(self, progress: BackfillProgress) -> None:
        """Tell how far it is."""
        self._progress = progress
        self._tell(progress)

    @property
    def since(self) -> datetime:
        """From when on history is wanted."""
        return self._record.since

    async def _note(self, record: BackfillRecord) -> None:
        record = replace(record, updated_at=self._clock.now())
        await self._parts.backfills.note(self._claim, record)
        self._record = record

    async def _wait_out(self, error: PostroomError) -> None:
        """Wait before another try, as the server asked. Raises the error where that would not help."""
        self._failures += 1
        trouble = trouble_of(error)
        hopeless = not error.temporary or trouble in (Trouble.LOGIN, Trouble.SETTINGS)
        if hopeless or self._failures >= PATIENCE:
            raise error
        asked = error.after if isinstance(error, MailServerError) else None
        wait = reconnect_after(trouble, self._failures, asked, random.random())  # noqa: S311 - jitter
        await self._wait(self._clock.now() + wait, error.code)

    async def _wait(self, until: datetime, reason: str) -> None:
        self.advance(replace(self._progress, state="waiting", until=until, reason=reason))
        await self._clock.sleep((until - self._clock.now()).total_seconds())
        self.advance(replace(self._progress, state="looking", until=None, reason=""))


class _Session:
    """What is read over one connection."""

    def __init__(self, run: _Run, parts: Backfill, site: Site, login: Login, session: MailSession) -> None:
        self._run = run
        self._parts = parts
        self._site = site
        self._session = session
        self._daily_download = parts.provider(login.server.host).daily_download
        self._mailboxes: Mapping[str, Role] = {}
        self._uidvalidities: dict[str, int] = {}

    async def read(self) -> None:
        """Everything that is wanted and was not read yet."""
        self._mailboxes = followed_mailboxes(self._site, await self._session.roles())
        batches = list(in_batches(await self._look()))
        for number, batch in enumerate(batches):
            if number:
                await self._parts.clock.sleep(PAUSE_SECONDS)
            await self._unchanged()
            await self._run.pay(octets_of(batch), self._daily_download)
            await self._take(await self._fetch(batch))
            await self._run.took(len(batch), octets_of(batch))

    async def _look(self) -> list[Wanted]:
        """What there is to read; tells of it."""
        found: list[Wanted] = []
        known = 0
        for mailbox in self._mailboxes:
            try:
                here, taken = await self._look_at(mailbox)
            except MailServerError as exc:
                if exc.server_code is not ServerCode.MAILBOX_MISSING:
                    raise
                continue  # a misspelt name among the watched ones, of which the watcher tells
            found += here
            known += taken
        self._run.looked(len(found) + known, known)
        return found

    async def _look_at(self, mailbox: str) -> tuple[list[Wanted], int]:
        """What a mailbox has to read, and how many messages of it were taken before."""
        site, intake = self._site, self._parts.intake
        status = await self._session.status(mailbox)
        beyond = below(await intake.cursor(site.id, mailbox), status, site)
        self._uidvalidities[mailbox] = status.uidvalidity
        found = await self._session.find(mailbox, since=day_before(self._run.since))
        lowest = min(found, default=beyond)
        taken = await intake.taken(site.id, mailbox, status.uidvalidity, lowest)
        unread = untaken(found, beyond, taken)
        facts = await self._session.facts(mailbox, runs(unread))
        worth = wanted(mailbox, facts, self._cap(mailbox), self._run.since, site, self._parts.clock.now())
        return worth, sum(uid < beyond for uid in found) - len(unread)

    async def _unchanged(self) -> None:
        """Raises when what is read does not belong to the site any more."""
        now = await self._parts.sites.get(self._site.id)
        if now is None:
            raise NotFound("the site was deleted")
        if now.account_since != self._site.account_since:
            raise Conflict("the site's account was changed meanwhile", hint="Run this again for the new one.")

    async def _fetch(self, batch: Sequence[Wanted]) -> list[Arrived]:
        """The messages of a batch that are still there, in the order in which the server got them."""
        arrivals: list[Arrived] = []
        for mailbox, uids in by_mailbox(batch).items():
            messages = self._session.fetch(mailbox, runs(uids), self._cap(mailbox))
            async with aclosing(messages):
                arrivals += [self._arrived(mailbox, message) async for message in messages]
        self._parts.steps.reached("backfill:fetched")
        return sorted(arrivals, key=lambda arrived: arrived.received_at)

    async def _take(self, arrivals: Sequence[Arrived]) -> None:
        """Hand them on, in one transaction. What cannot be stored is quarantined in the end."""
        for left in reversed(range(TRIES)):
            try:
                await self._parts.ingest.take(self._site, arrivals)
                break
            except PostroomError:
                raise
            except Exception:
                if not left:
                    raise
        self._parts.steps.reached("backfill:stored")

    def _cap(self, mailbox: str) -> int:
        return SENT_CAP if self._mailboxes[mailbox] is Role.SENT else MESSAGE_CAP

    def _arrived(self, mailbox: str, fetched: FetchedMessage) -> Arrived:
        return Arrived(
            source=Source.MAILBOX,
            raw=fetched.headers if fetched.raw is None else fetched.raw,
            received_at=fetched.received_at,
            size=fetched.size,
            place=Place(mailbox, self._uidvalidities[mailbox], fetched.uid),
            role=self._mailboxes[mailbox],
            flags=frozenset(flag.lower() for flag in fetched.flags),
            history=True,
            oversize=fetched.raw is None,
        )
