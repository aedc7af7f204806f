"""Keeping a claim while the work lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from postroom.core.errors import LeaseLost
from postroom.core.model import Claim
from postroom.core.ports import Clock

LEASE = timedelta(seconds=30)
RENEW_SECONDS = 10.0


@asynccontextmanager
async def kept(
    claim: Claim, renew: Callable[[Claim, datetime], Awaitable[Claim]], clock: Clock
) -> AsyncIterator[None]:
    """Renew the claim until the block ends. When it is lost the block is cancelled and `LeaseLost` raised."""
    worker = asyncio.current_task()
    assert worker is not None
    lost = False

    async def renewing() -> None:
        nonlocal lost
        while True:
            await clock.sleep(RENEW_SECONDS)
            try:
                await renew(claim, clock.now() + LEASE)
            except LeaseLost:
                lost = True
                worker.cancel()
                return

    keeper = asyncio.create_task(renewing())
    try:
        yield
    except asyncio.CancelledError:
        if lost:
            worker.uncancel()
            raise LeaseLost("the claim ran out and was taken over") from None
        raise
    finally:
        keeper.cancel()
