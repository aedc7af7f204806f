"""All watchers of a process: one task an account, which nothing but its site's end, the account's passing to
another process or this one's end ends."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from postroom.core.model import AccountStatus
from postroom.core.shares import Holding
from postroom.engine.pacing import Starts
from postroom.engine.shares import Watching
from postroom.engine.watcher import Watcher, WatchParts

__all__ = ["WatchParts", "Watchers"]

log = structlog.get_logger()

CLOSE_SECONDS = 5.0
"""How long connections may take to close before an account is given back all the same; what a watcher still
writes then is refused."""


class Choice(Protocol):
    """Decides which accounts this process watches."""

    async def keep(self, watching: Watching) -> None:
        """Begin and end watchers until cancelled; then end them all."""
        ...

    def noticed(self, site_id: str, watching: Watching) -> None:
        """A bell rang for a site that is not watched here."""
        ...


@dataclass(frozen=True, slots=True)
class _Running:
    holding: Holding
    watcher: Watcher
    task: "asyncio.Task[None]"


class Watchers:
    """All watchers of this process. `parts`: what the watcher of a held account works with."""

    def __init__(self, parts: Callable[[Holding], WatchParts], choice: Choice) -> None:
        self._parts = parts
        self._choice = choice
        self._starts = Starts()
        self._running: dict[str, _Running] = {}

    async def run(self) -> None:
        """Watch what is this process's to watch until cancelled."""
        await self._choice.keep(self)

    def refresh(self, site_id: str) -> None:
        """Make the site's watcher look now, if it is one of ours."""
        running = self._running.get(site_id)
        if running is not None and not running.task.done():
            running.watcher.poke()

    def changed(self, site_id: str) -> None:
        """The site has changed, or is new: make its watcher look now; one that found nothing to watch tries
        again."""
        running = self._running.get(site_id)
        if running is None:
            self._choice.noticed(site_id, self)
        elif running.task.done():
            self.begin(running.holding)
        else:
            running.watcher.poke()

    def status(self, site_id: str) -> AccountStatus | None:
        """What the site's watcher is doing, when it is one of ours."""
        running = self._running.get(site_id)
        return running.watcher.status if running else None

    def settled(self, site_id: str) -> bool:
        """Whether the account has its cursor, or has failed once, or has nothing to watch."""
        running = self._running.get(site_id)
        return running is not None and (running.watcher.settled.is_set() or running.task.done())

    # --- as `engine.shares.Watching` ------------------------------------------------------------------

    def watched(self) -> Mapping[str, Holding]:
        """`Watching.watched`."""
        return {site_id: running.holding for site_id, running in self._running.items()}

    def begin(self, holding: Holding) -> None:
        """`Watching.begin`."""
        site_id = holding.site_id
        watcher = Watcher(site_id, self._parts(holding), self._starts)
        task = asyncio.create_task(watcher.run(), name=f"watch:{site_id}")
        self._running[site_id] = _Running(holding, watcher, task)

    async def end(self, site_ids: Collection[str]) -> None:
        """`Watching.end`."""
        ending = [self._running.pop(site_id) for site_id in site_ids if site_id in self._running]
        tasks = [running.task for running in ending]
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            if late:
                log.warning("watch.slow_to_end", watchers=len(late))
