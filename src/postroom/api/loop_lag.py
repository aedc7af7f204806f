"""How late the event loop comes to what is due: the first sign of too much work for one process."""

import asyncio

from prometheus_client import Histogram

SAMPLE_SECONDS = 0.25
BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class LoopLag:
    """Sleeps and looks how much too late it woke. `histogram` is what it saw, in seconds."""

    def __init__(self, seconds: float = SAMPLE_SECONDS) -> None:
        self._seconds = seconds
        self.histogram = Histogram(
            "postroom_event_loop_lag_seconds",
            "How much later than asked for a timer of the event loop went off.",
            buckets=BUCKETS,
            registry=None,
        )

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._seconds
            await asyncio.sleep(self._seconds)
            self.histogram.observe(max(loop.time() - due, 0.0))
