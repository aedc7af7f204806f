"""How the process ends: the first signal asks, the second one does not wait."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """SIGINT and SIGTERM. The first sets `asked`; a second one, or `grace` seconds, end the process at once.

    At once means without tidying up, also when the event loop is blocked: what is unfinished stands in the
    rows and is taken up by the next start. The exit code is 0 in each case.
    """

    def __init__(self, grace: float) -> None:
        self.asked = asyncio.Event()
        self._deadline = Timer(grace, os._exit, (0,))
        self._deadline.daemon = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals for the time of the block; called in the main thread, with a running loop."""
        loop = asyncio.get_running_loop()

        def came(number: int, frame: FrameType | None) -> None:
            del number, frame
            if self.asked.is_set() or self._deadline.is_alive():
                os._exit(0)
            self._deadline.start()
            loop.call_soon_threadsafe(self.asked.set)

        # Not the loop's own handlers: those are heard only when no agent blocks it.
        before = {number: signal.signal(number, came) for number in SIGNALS}
        try:
            yield
        finally:
            self._deadline.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)
