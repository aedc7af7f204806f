"""Hears the bells and sweeps: what is due is looked at, whether a bell rang or not."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import structlog

from postroom.core.errors import PostroomError
from postroom.core.model import Bell, BellKind
from postroom.core.ports import Bells, Clock
from postroom.core.store import Answering, Outbox
from postroom.engine.answer import Answerer
from postroom.engine.retention import Retention
from postroom.engine.submit import Submitter
from postroom.engine.watch import Watchers

log = structlog.get_logger()

SWEEP_SECONDS = 30.0
SWEEP_LIMIT = 1000
AGAIN_SECONDS = 2.0
AT_ONCE = 100
AT_ONCE_PER_SITE = 50
"""One site's many, with an agent that thinks for long, leave places for the others."""

ASIDE = 10_000
"""Bells that wait because their site has its places; beyond, the sweep rings again."""


class Worker:
    """Runs everything that is not an answer to an API call, until cancelled."""

    def __init__(
        self,
        answering: Answering,
        outbox: Outbox,
        answerer: Answerer,
        submitter: Submitter,
        watchers: Watchers,
        bells: Bells,
        clock: Clock,
        retention: Retention,
    ) -> None:
        self._answering = answering
        self._outbox = outbox
        self._answerer = answerer
        self._submitter = submitter
        self._watchers = watchers
        self._bells = bells
        self._clock = clock
        self._retention = retention
        self._places = asyncio.Semaphore(AT_ONCE)
        self._running: Counter[str] = Counter()
        self._aside: dict[str, dict[str, Bell]] = {}
        self._over = False
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Watch, hear, sweep. When the bells are closed nothing new is begun, and it ends with what runs."""
        parts = {"watch": self._watchers.run, "sweep": self._sweep, "retention": self._retention.run}
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(self._kept_up(part, run)) for part, run in parts.items()]
            try:
                await self._kept_up("hear", partial(self._hear, group))
            finally:
                self._over = True
            await self._leave_to_others()
            for task in background:
                task.cancel()

    async def _kept_up(self, part: str, run: Callable[[], Awaitable[None]]) -> None:
        """Begin again what ends by a fault: no part is to end the others; what is due stands in the rows."""
        while True:
            try:
                await run()
            except Exception:
                log.exception("work.part_failed", part=part)
            else:
                return
            await self._clock.sleep(AGAIN_SECONDS)

    async def _hear(self, group: asyncio.TaskGroup) -> None:
        async for bell in self._bells.heard():
            await self._dispatch(group, bell)

    async def _leave_to_others(self) -> None:
        """What was heard and not begun: another process may have hands free."""
        for bells in self._aside.values():
            for bell in bells.values():
                await self._bells.ring(bell)

    async def _dispatch(self, group: asyncio.TaskGroup, bell: Bell) -> None:
        if bell.kind is BellKind.ACCOUNT:
            self._watchers.refresh(bell.id)
            return
        if bell.kind is BellKind.SITE:
            self._watchers.changed(bell.id)
            self._changed.set()
            return
        await self._places.acquire()
        self._begin(group, bell)

    def _begin(self, group: asyncio.TaskGroup, bell: Bell) -> None:
        """Use the place that was taken, unless the bell's site has as many as it may have."""
        if bell.site_id and self._running[bell.site_id] >= AT_ONCE_PER_SITE:
            self._places.release()
            if sum(map(len, self._aside.values())) < ASIDE:
                self._aside.setdefault(bell.site_id, {})[bell.id] = bell
        else:
            self._running[bell.site_id] += 1
            group.create_task(self._work(group, bell))

    async def _work(self, group: asyncio.TaskGroup, bell: Bell) -> None:
        look = self._answerer.look if bell.kind is BellKind.THREAD else self._submitter.look
        try:
            await self._guarded(partial(look, bell.id), bell)
        except asyncio.CancelledError:  # this process ends: others take over once its claims are given back
            again = self._clock.now() + timedelta(seconds=AGAIN_SECONDS)
            await self._bells.ring(replace(bell, at=again))
            raise
        finally:
            self._leave(group, bell.site_id)

    def _leave(self, group: asyncio.TaskGroup, site_id: str) -> None:
        """Give the place back, or to what the site has put aside."""
        self._running[site_id] -= 1
        if not self._running[site_id]:
            del self._running[site_id]
        aside = self._aside.get(site_id)
        if aside and not self._over:
            self._begin(group, aside.pop(next(iter(aside))))
            return
        self._aside.pop(site_id, None)
        self._places.release()

    async def _guarded(self, look: Callable[[], Awaitable[None]], bell: Bell) -> None:
        try:
            await look()
        except PostroomError as exc:
            log.warning("work.failed", kind=bell.kind.value, id=bell.id, code=exc.code)
        except Exception:
            log.exception("work.unexpected", kind=bell.kind.value, id=bell.id)

    async def _sweep(self) -> None:
        while True:
            try:
                await self._ring_for_due()
            except Exception:
                log.exception("sweep.failed")
            await self._rest()

    async def _rest(self) -> None:
        """Until the next sweep; a changed site may have set work free and brings it forward."""
        sleeping = asyncio.ensure_future(self._clock.sleep(SWEEP_SECONDS))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({sleeping, changed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changed.cancel()
        self._changed.clear()

    async def _ring_for_due(self) -> None:
        now = self._clock.now()
        for thread in await self._answering.due(now, SWEEP_LIMIT):
            await self._bells.ring(Bell(BellKind.THREAD, thread.id, site_id=thread.site_id))
        for submission in await self._outbox.due(now, SWEEP_LIMIT):
            await self._bells.ring(Bell(BellKind.SUBMISSION, submission.id, site_id=submission.site_id))
