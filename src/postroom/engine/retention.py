"""Forgets what sites no longer keep, and sweeps away blobs that nobody refers to.

One worker does it at a time, in small batches with pauses. It may be interrupted anywhere: what was deleted
is gone whole, and the next look goes on with the rest.
"""

from collections.abc import AsyncIterator, Collection
from datetime import timedelta

import structlog

from postroom.core.errors import PostroomError
from postroom.core.model import Site
from postroom.core.ports import Blobs, Clock, Steps
from postroom.core.registry import Sites, Upkeep

log = structlog.get_logger()

LOOK_EVERY = timedelta(minutes=5)
FORGET_EVERY = timedelta(minutes=10)
SWEEP_EVERY = timedelta(days=1)
SWEPT_AGE = timedelta(days=1)
"""A blob is written a moment before the row that refers to it; no intake takes a day for that."""

JUST_PUT = timedelta(minutes=2)
"""Bytes of a deleted message that were put again so lately may be on their way into another."""

PAUSE_SECONDS = 0.05
SITES = 200
DIGESTS = 500


class Retention:
    """Keeps storage small, beside everything else."""

    def __init__(self, sites: Sites, upkeep: Upkeep, blobs: Blobs, clock: Clock, steps: Steps) -> None:
        self._sites = sites
        self._upkeep = upkeep
        self._blobs = blobs
        self._clock = clock
        self._steps = steps
        self._left: set[str] = set()

    async def run(self) -> None:
        """Look every few minutes, until cancelled."""
        while True:
            try:
                await self.look()
            except PostroomError as exc:
                log.warning("retention.failed", code=exc.code)
            except Exception:
                log.exception("retention.unexpected")
            await self._clock.sleep(LOOK_EVERY.total_seconds())

    async def look(self) -> None:
        """Do what is due, if no other worker has taken it."""
        if await self._upkeep.turn("retention", self._clock.now(), FORGET_EVERY):
            await self.forget()
        if await self._upkeep.turn("blobs", self._clock.now(), SWEEP_EVERY):
            await self.sweep()

    async def forget(self) -> None:
        """Delete what is older than the sites that say so keep it."""
        await self._discard(self._left)
        async for site in self._all_sites():
            days = site.settings.retention.days
            if days is not None:
                await self._forget(site, days)

    async def sweep(self) -> None:
        """Delete blobs that nobody refers to: a crash leaves one when it comes before its row is written."""
        before = self._clock.now() - SWEPT_AGE
        gone = 0
        async for found in self._blobs.older(before):
            for start in range(0, len(found), DIGESTS):
                for digest in await self._upkeep.unreferred(found[start : start + DIGESTS]):
                    gone += await self._blobs.discard(digest, before)
                    self._steps.reached("sweep:discarded")
                await self._clock.sleep(PAUSE_SECONDS)
        if gone:
            log.info("blobs.swept", blobs=gone)

    async def _all_sites(self) -> AsyncIterator[Site]:
        cursor: str | None = None
        while True:
            page = await self._sites.list(cursor, SITES)
            for site in page.items:
                yield site
            cursor = page.next
            if cursor is None:
                return

    async def _forget(self, site: Site, days: int) -> None:
        before = self._clock.now() - timedelta(days=days)
        place: int | None = 0
        rows = 0
        while place is not None:
            done = await self._upkeep.forget(site.id, before, place)
            self._steps.reached("retention:forgotten")
            await self._discard(done.blobs)
            rows, place = rows + done.rows, done.next
            await self._clock.sleep(PAUSE_SECONDS)
        if rows:
            log.info("retention.forgotten", site=site.id, rows=rows)

    async def _discard(self, digests: Collection[str]) -> None:
        """What cannot be deleted now is tried again at the next look; after a crash, swept."""
        before = self._clock.now() - JUST_PUT
        needless = set(await self._upkeep.unreferred(digests)) if digests else set()
        self._left = {digest for digest in needless if not await self._blobs.discard(digest, before)} | (
            self._left - set(digests)
        )
