"""Which accounts this process watches: all of them where it is the only one, else its fair share.

A worker that shares lives by its heartbeat: one row, renewed with each round. What it holds is its to act on
until the heartbeat lapses; from then on others take it, and whatever this process still writes for it is
refused by the database (`core.shares`). A round every 2 s and a lease of 9 s: what a dead worker held is
watched again within 11 s, what a newcomer is to have within two rounds. Who is silent for two rounds is no
longer counted on: if it died right after it came, the accounts that it was to have do not wait for its lease.
"""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from postroom.core.errors import LeaseLost, PostroomError
from postroom.core.ports import Clock
from postroom.core.registry import Sites
from postroom.core.shares import HeldSite, Holding, Round, Shares, Worker
from postroom.engine.retry import Trouble, reconnect_after

log = structlog.get_logger()

LEASE = timedelta(seconds=9)
ROUND_SECONDS = 2.0
COUNTED = timedelta(seconds=4.5)
"""How long after its last heartbeat a worker still counts when shares are made."""

LEAST_SECONDS = 0.5
"""Between two rounds, however often one is asked for."""

PAGE = 200
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Watching(Protocol):
    """The watchers of this process, one an account."""

    def watched(self) -> Mapping[str, Holding]:
        """The accounts that were begun and not ended, by site."""
        ...

    def begin(self, holding: Holding) -> None:
        """Watch this account, which nobody here watches."""
        ...

    async def end(self, site_ids: Collection[str]) -> None:
        """Watch these no longer; their connections are closed when this returns."""
        ...

    def refresh(self, site_id: str) -> None:
        """Look now, if the account is watched."""
        ...

    def changed(self, site_id: str) -> None:
        """The site has changed: look now, or see whether there is something to watch after all."""
        ...


# --- alone --------------------------------------------------------------------------------------------


class AllAccounts:
    """For the only process of a database: it watches every account, and nobody needs to know."""

    def __init__(self, sites: Sites, clock: Clock) -> None:
        self._sites = sites
        self._clock = clock

    async def keep(self, watching: Watching) -> None:
        """Watch every site's account until cancelled."""
        try:
            await self._begin_all(watching)
            await asyncio.Event().wait()
        finally:
            await watching.end(tuple(watching.watched()))

    def noticed(self, site_id: str, watching: Watching) -> None:
        """A site is new."""
        watching.begin(Holding(site_id, "", 0))

    async def _begin_all(self, watching: Watching) -> None:
        cursor: str | None = None
        failures = 0
        while True:
            try:
                page = await self._sites.list(cursor, PAGE)
            except Exception:  # accounts that are watched already must not stop for those that are not
                log.exception("watch.sites")
                failures += 1
                wait = reconnect_after(Trouble.PASSING, failures, None, 1.0)
                await self._clock.sleep(wait.total_seconds())
                continue
            for site in page.items:
                if site.id not in watching.watched():
                    self.noticed(site.id, watching)
            cursor = page.next
            if cursor is None:
                return


# --- with others --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changes:
    """What a round asks for. `drop`: watched, but no longer ours. `give_up`: ours, but not to keep."""

    begin: tuple[Holding, ...]
    drop: tuple[str, ...]
    give_up: tuple[Holding, ...]


NO_CHANGES = Changes((), (), ())


def plan_changes(
    watched: Mapping[str, Holding], parting: Collection[str], held: Sequence[HeldSite], share: int
) -> Changes:
    """From what is watched to what is ours (`held`) and ours to keep (`share`).

    `parting`: whose watchers are just being ended; they are begun again in a later round at the earliest.
    """
    ours = {one.holding.site_id: one.holding for one in held}
    drop = tuple(site_id for site_id, holding in watched.items() if ours.get(site_id) != holding)
    keepable = [one.holding for one in held if one.account]
    # What is on its way out already goes first, so that as few as possible change hands.
    keepable.sort(key=lambda holding: (holding.site_id in parting, holding.site_id))
    surplus = [one.holding for one in held if not one.account] + keepable[share:]
    busy = {*parting, *drop}
    begin = tuple(h for h in keepable[:share] if h.site_id not in busy and h.site_id not in watched)
    return Changes(begin, drop, tuple(h for h in surplus if h.site_id not in busy))


class SharedAccounts:
    """For one of many processes: it watches its fair share, and stops before others may take it."""

    def __init__(self, shares: Shares, worker: Worker, clock: Clock) -> None:
        self._shares = shares
        self._worker = worker
        self._clock = clock
        self._until = LONG_AGO
        self._parting: dict[str, asyncio.Task[None]] = {}
        self._held: tuple[HeldSite, ...] = ()
        self._stand = ""
        self._share = 0
        self._moving = False
        self._versions: dict[str, int] = {}
        self._wanted = asyncio.Event()

    async def keep(self, watching: Watching) -> None:
        """Hold rounds until cancelled, then give everything back."""
        guard = asyncio.create_task(self._guard(watching))
        try:
            while True:
                await self.hold_round(watching)
                await self._rest()
        finally:
            guard.cancel()
            await self._leave(watching)

    def noticed(self, site_id: str, watching: Watching) -> None:
        """A site is new or another's: the next round, which is held soon, will tell."""
        del site_id, watching
        self._wanted.set()

    async def hold_round(self, watching: Watching) -> None:
        """Renew the heartbeat, and watch what is ours now. After a lapse: stop everything, then join anew."""
        self._wanted.clear()
        try:
            await self._live(watching)
            now = self._clock.now()
            found = await self._shares.round(self._worker.id, now, now - COUNTED, self._stand)
        except LeaseLost:
            log.warning("shares.lapsed", worker=self._worker.id)
            self._until = LONG_AGO
            self._wanted.set()
            await self._part_with_all(watching)
        except PostroomError as exc:
            log.warning("shares.failed", code=exc.code)
        except Exception:
            log.exception("shares.failed_unexpectedly")
        else:
            self._follow(found, watching)

    async def _live(self, watching: Watching) -> None:
        now = self._clock.now()
        if now < self._until:
            until = now + LEASE
            await self._shares.renew(self._worker.id, now, until)
        else:
            await self._part_with_all(watching)
            now = self._clock.now()
            until = now + LEASE
            await self._shares.join(self._worker, now, until)
            log.info("shares.joined", worker=self._worker.id)
        self._until = until

    def _follow(self, found: Round, watching: Watching) -> None:
        if found.held is None and not self._stand:
            return  # everything was ended meanwhile: the next round tells all of it again
        self._stand = found.stand
        if found.held is not None:
            self._held = found.held
        if found.held is not None or found.share != self._share or self._moving:
            self._rearrange(found.share, watching)
        self._tell(found, watching)

    def _rearrange(self, share: int, watching: Watching) -> None:
        changes = plan_changes(watching.watched(), self._parting, self._held, share)
        self._share, self._moving = share, bool(self._parting) or changes != NO_CHANGES
        if changes.drop:
            self._part(changes.drop, (), watching)
        if changes.give_up:
            self._part([h.site_id for h in changes.give_up], changes.give_up, watching)
        for holding in changes.begin:
            watching.begin(holding)
        if changes != NO_CHANGES:
            log.info(
                "shares.changed",
                begun=len(changes.begin),
                lost=len(changes.drop),
                given_up=len(changes.give_up),
            )

    def _tell(self, found: Round, watching: Watching) -> None:
        """What bells may have told another process, or nobody."""
        if found.held is not None:
            versions = {one.holding.site_id: one.version for one in found.held}
            for site_id, version in versions.items():
                if self._versions.get(site_id, version) != version and site_id in watching.watched():
                    watching.changed(site_id)
            self._versions = versions
        for site_id in found.care:
            watching.refresh(site_id)

    # --- parting --------------------------------------------------------------------------------------

    def _part(self, site_ids: Sequence[str], give_up: Sequence[Holding], watching: Watching) -> None:
        """End watchers beside the rounds, and then give their accounts back."""

        async def parting() -> None:
            try:
                await watching.end(site_ids)
                if give_up:
                    await self._shares.release(give_up)
            except PostroomError as exc:  # they are ours still: the next round tries again
                log.warning("shares.not_released", code=exc.code)
            finally:
                for site_id in site_ids:
                    self._parting.pop(site_id, None)

        task = asyncio.create_task(parting(), name="part")
        self._parting.update(dict.fromkeys(site_ids, task))

    async def _part_with_all(self, watching: Watching) -> None:
        self._stand = ""
        watched = tuple(watching.watched())
        if watched:
            self._part(watched, (), watching)
        under_way = set(self._parting.values())
        if under_way:
            await asyncio.wait(under_way)

    async def _leave(self, watching: Watching) -> None:
        await self._part_with_all(watching)
        with suppress(PostroomError):  # our lease ends by itself
            await self._shares.leave(self._worker.id)

    # --- time -----------------------------------------------------------------------------------------

    async def _guard(self, watching: Watching) -> None:
        """Stop everything when the heartbeat lapses, whatever the round is waiting for."""
        while True:
            left = (self._until - self._clock.now()).total_seconds()
            if left <= 0:
                await self._part_with_all(watching)
            await self._clock.sleep(left if left > 0 else LEAST_SECONDS)

    async def _rest(self) -> None:
        """Until the next round; workers that started together are not to come together for ever."""
        await self._clock.sleep(LEAST_SECONDS)
        chance = random.random()  # noqa: S311 - jitter
        left = (ROUND_SECONDS - LEAST_SECONDS) * (0.75 + 0.25 * chance)
        sleeping = asyncio.ensure_future(self._clock.sleep(left))
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({sleeping, wanted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            wanted.cancel()
