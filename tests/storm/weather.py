"""What the storm does to workers, database and mail servers, and when."""

import asyncio
import random
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import psycopg

from tests.storm.fleet import Fleet, Worker
from tests.storm.ground import Ground
from tests.storm.takeover import PATIENCE, held_by, taken_over

KILLS_APART = (5.0, 15.0)
REBALANCED = 15.0
STOPPED_SECONDS = 45.0
"""Beyond the lease of an account (10 s) and of a claim (30 s)."""


@dataclass(slots=True)
class Weather:
    """The storm over a fleet. `takeovers`: seconds that accounts went without a watcher."""

    ground: Ground
    fleet: Fleet
    chance: random.Random
    began: float = field(default_factory=time.monotonic)
    kills: int = 0
    takeovers: list[float] = field(default_factory=list)
    never: int = 0
    _measuring: set[asyncio.Task[None]] = field(default_factory=set)

    async def rage(self, seconds: float, cut_off: float) -> None:
        """All of it, within about so many seconds: kills throughout; the rest each in its part."""
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(self._kill_on())
            others = [
                group.create_task(self._at(seconds * part, what))
                for part, what in (
                    (0.15, self._stop_one()),
                    (0.35, self._restart_database(signal.SIGINT)),
                    (0.50, self._cut_off_mail(cut_off)),
                    (0.85, self._restart_database(signal.SIGQUIT)),
                )
            ]
            await asyncio.wait([*others, group.create_task(asyncio.sleep(seconds))])
            killing.cancel()
        if self._measuring:
            await asyncio.wait(self._measuring)

    def report(self) -> str:
        """Kills, and how long accounts went without a watcher."""
        times = sorted(self.takeovers)
        lines = [f"killed        {self.kills} times with SIGKILL"]
        if times:
            middle, late = times[len(times) // 2], sum(t > REBALANCED for t in times)
            lines.append(
                f"taken over    median {middle:.1f} s, longest {times[-1]:.1f} s, "
                f"{late} of {len(times)} over 15 s, {self.never} not within a minute"
            )
        return "\n".join(lines)

    def say(self, what: str) -> None:
        """One line of what happens."""
        print(f"{time.monotonic() - self.began:7.1f} s  {what}", flush=True)

    # --- the faults -----------------------------------------------------------------------------------

    async def _at(self, seconds: float, what: Coroutine[None, None, None]) -> None:
        await asyncio.sleep(seconds)
        await what

    async def _kill_on(self) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(*KILLS_APART))
            self.fleet.check()
            worker = self.chance.choice([w for w in self.fleet.workers if not w.standing])
            await self._lose(worker, self.fleet.kill)
            self.kills += 1
            self.fleet.start()

    async def _stop_one(self) -> None:
        worker = self.chance.choice([w for w in self.fleet.workers if not w.standing])
        self.say(f"worker {worker.pid} is stopped for {STOPPED_SECONDS:.0f} s")
        await self._lose(worker, self.fleet.stop)
        await asyncio.sleep(STOPPED_SECONDS)
        self.say(f"worker {worker.pid} goes on")
        self.fleet.go_on(worker)

    async def _lose(self, worker: Worker, how: Callable[[Worker], None]) -> None:
        try:
            sites = await asyncio.to_thread(held_by, self.ground, worker.pid)
        except psycopg.OperationalError:
            sites = []
        how(worker)
        if sites:
            task = asyncio.create_task(self._measure(worker.pid, sites))
            self._measuring.add(task)
            task.add_done_callback(self._measuring.discard)

    async def _measure(self, pid: int, sites: list[str]) -> None:
        began = time.monotonic() - self.began
        seconds = await taken_over(self.ground, pid, sites)
        if seconds is None or seconds > REBALANCED:
            self.say(
                f"what worker {pid} held since {began:.1f} s took {seconds or PATIENCE:.1f} s to be taken"
            )
        if seconds is None:
            self.never += 1
        else:
            self.takeovers.append(seconds)

    async def _restart_database(self, how: signal.Signals) -> None:
        began = time.monotonic()
        await asyncio.to_thread(self.ground.cluster.restart, how)
        self.say(f"the database was restarted ({how.name}) in {time.monotonic() - began:.1f} s")

    async def _cut_off_mail(self, seconds: float) -> None:
        world = self.ground.world
        self.say(f"the mail servers are gone for {seconds:.0f} s")
        await asyncio.gather(asyncio.to_thread(world.stop_dovecot), asyncio.to_thread(world.stop_postfix))
        await asyncio.sleep(seconds)
        await asyncio.to_thread(world.start_dovecot)
        await asyncio.to_thread(world.start_postfix)
        self.say("the mail servers are back")
