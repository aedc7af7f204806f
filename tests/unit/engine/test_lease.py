"""A claim is kept while the work lasts, and the work ends when the claim is lost."""

import asyncio
from datetime import datetime

import pytest

from postroom.core.errors import LeaseLost, PostroomError
from postroom.core.model import Claim
from postroom.engine.lease import LEASE, RENEW_SECONDS, kept
from tests.support.clock import TestClock


async def test_a_renewal_that_fails_in_passing_is_tried_again(clock: TestClock) -> None:
    claim = Claim("thr_1", "site", "me", 1, clock.now() + LEASE)
    until: list[datetime] = []

    async def renew(claim: Claim, lasts: datetime) -> Claim:
        if not until:
            until.append(lasts)
            raise PostroomError("the database is away", code="database_unavailable")
        until.append(lasts)
        return claim

    async with kept(claim, renew, clock):
        for _ in range(2):
            await clock.until_asleep()
            await clock.advance(RENEW_SECONDS)
    assert len(until) == 2


async def test_a_lost_claim_ends_the_work(clock: TestClock) -> None:
    claim = Claim("thr_1", "site", "me", 1, clock.now() + LEASE)

    async def renew(claim: Claim, lasts: datetime) -> Claim:
        raise LeaseLost("it belongs to another")

    async def work() -> None:
        async with kept(claim, renew, clock):
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await clock.until_asleep()
    await clock.advance(RENEW_SECONDS)
    with pytest.raises(LeaseLost):
        await working


@pytest.fixture
def clock() -> TestClock:
    return TestClock()
