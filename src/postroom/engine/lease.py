"""Keeping a claim while the work lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog

from postroom.core.errors import LeaseLost, PostroomError
from postroom.core.model import Claim
from postroom.core.ports import Clock

LEASE = timedelta(seconds=30)
RENEW_SECONDS = 10.0

log = structlog.get_logger()


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
            except PostroomError as exc:  # the lease outlasts two failed renewals
                log.warning("lease.not_renewed", id=claim.id, code=exc.code)

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
