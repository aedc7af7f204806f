"""An event loop on which long waits are short: when nothing happens, its clock jumps to the next timer.

Deadlines of real sockets can be waited for so, hundreds of seconds in moments, without being changed. While a
test polls, nothing jumps.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SILENCE = 0.1
"""Real seconds in which nothing may happen before the clock jumps: sockets and threads get their time."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits a little where it is asked to wait for long, and remembers the rest."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= SILENCE:
            return super().select(timeout)
        found = super().select(SILENCE)
        if not found:
            self.skipped += timeout - SILENCE
        return found


class JumpingLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds, the skipped ones counted."""
        return super().time() + self._jumping.skipped


def run_jumping(scenario: Coroutine[Any, Any, T]) -> T:
    """Run it on such a loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(scenario)
