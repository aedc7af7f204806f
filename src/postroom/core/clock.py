"""The machine's clock; everything that waits or stamps is handed one, so that tests can move time."""

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """`core.ports.Clock` on the machine's own time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed; none or fewer still gives other tasks a turn."""
        await asyncio.sleep(max(0.0, seconds))
