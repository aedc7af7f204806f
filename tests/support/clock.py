"""A clock that stands still until the test moves it."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass(order=True, slots=True)
class _Sleeper:
    due: datetime
    number: int
    awake: asyncio.Future[None] = field(compare=False)


class TestClock:
    """`core.ports.Clock` under the test's hand.

    `advance` wakes the sleepers in the order of their times, each at its own time, and lets the loop run in
    between, so a task that sleeps again within the span is woken again. `until_asleep` waits (in real time,
    at most `deadline` seconds) until that many tasks sleep.
    """

    __test__ = False

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._sleepers: list[_Sleeper] = []
        self._numbers = count()
        self._lay_down = asyncio.Event()

    def now(self) -> datetime:
        """The moment the test has moved to."""
        return self._now

    @property
    def sleepers(self) -> int:
        """How many tasks sleep now."""
        return sum(not s.awake.done() for s in self._sleepers)

    @property
    def next_wake(self) -> datetime | None:
        """When the first sleeper is due; None when nobody sleeps."""
        return min((s.due for s in self._sleepers if not s.awake.done()), default=None)

    async def sleep(self, seconds: float) -> None:
        """Return when the test has moved this clock by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, _Sleeper(self._now + timedelta(seconds=seconds), next(self._numbers), awake))
        self._lay_down.set()
        await awake

    async def advance(self, seconds: float) -> None:
        """Move on by `seconds`, waking whoever is due on the way."""
        await self.advance_to(self._now + timedelta(seconds=seconds))

    async def advance_to(self, moment: datetime) -> None:
        """Move on to `moment`, waking whoever is due on the way."""
        await self._let_others_run()
        while self._sleepers and self._sleepers[0].due <= moment:
            sleeper = heappop(self._sleepers)
            if sleeper.awake.done():
                continue
            self._now = max(self._now, sleeper.due)
            sleeper.awake.set_result(None)
            await self._let_others_run()
        self._now = max(self._now, moment)
        await self._let_others_run()

    async def until_asleep(self, sleepers: int = 1, *, deadline: float = 10.0) -> None:
        """Wait until at least so many tasks sleep. Raises `TimeoutError` after `deadline` real seconds."""
        async with asyncio.timeout(deadline):
            while self.sleepers < sleepers:
                self._lay_down.clear()
                await self._lay_down.wait()

    async def _let_others_run(self) -> None:
        # What hangs on a woken task needs a few rounds of the loop; what needs a socket must be waited for.
        for _ in range(10):
            await asyncio.sleep(0)
