"""All watchers of a process: one task a site, which nothing but its site's end or the process's ends."""

import asyncio

import structlog

from postroom.core.model import AccountStatus
from postroom.engine.pacing import Starts
from postroom.engine.retry import Trouble, reconnect_after
from postroom.engine.watcher import Watcher, WatchParts

__all__ = ["WatchParts", "Watchers"]

log = structlog.get_logger()

PAGE = 200


class Watchers:
    """All watchers of this process."""

    def __init__(self, parts: WatchParts) -> None:
        self._parts = parts
        self._starts = Starts()
        self._running: dict[str, tuple[Watcher, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Start a watcher for every site, then keep them until cancelled."""
        try:
            await self._start_all()
            await asyncio.Event().wait()
        finally:
            await self._stop_all()

    def refresh(self, site_id: str) -> None:
        """Make the site's watcher look now, starting it when there is none."""
        running = self._running.get(site_id)
        if running is not None and not running[1].done():
            running[0].poke()
            return
        watcher = Watcher(site_id, self._parts, self._starts)
        self._running[site_id] = (watcher, asyncio.create_task(watcher.run(), name=f"watch:{site_id}"))

    def status(self, site_id: str) -> AccountStatus | None:
        """What the site's watcher is doing, when it is one of ours."""
        running = self._running.get(site_id)
        return running[0].status if running else None

    def settled(self, site_id: str) -> bool:
        """Whether the account has its cursor, or has failed once, or has nothing to watch."""
        running = self._running.get(site_id)
        return running is not None and (running[0].settled.is_set() or running[1].done())

    async def _start_all(self) -> None:
        cursor: str | None = None
        failures = 0
        while True:
            try:
                page = await self._parts.sites.list(cursor, PAGE)
            except Exception:  # accounts that are watched already must not stop for those that are not
                log.exception("watch.sites")
                failures += 1
                wait = reconnect_after(Trouble.PASSING, failures, None, 1.0)
                await self._parts.clock.sleep(wait.total_seconds())
                continue
            for site in page.items:
                self.refresh(site.id)
            cursor = page.next
            if cursor is None:
                return

    async def _stop_all(self) -> None:
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
