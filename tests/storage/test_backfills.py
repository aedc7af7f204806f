"""Backfills: one a site, by one process at a time, gone on with until it is finished."""

from dataclasses import replace

import pytest

from postroom.core.backfills import BackfillRecord
from postroom.core.errors import LeaseLost, NotFound
from postroom.core.model import Claim
from postroom.core.store import Store
from tests.support.stored import NOW, later

SITE = "acme"
SINCE = later(days=-90)


async def begun(store: Store, owner: str = "one", at: float = 0) -> tuple[Claim, BackfillRecord]:
    taken = await store.backfills.begin(SITE, SINCE, owner, later(seconds=at), later(seconds=at + 30))
    assert taken is not None
    return taken


async def test_one_process_at_a_time(acme: Store) -> None:
    claim, record = await begun(acme)
    assert record == BackfillRecord(SITE, SINCE, NOW, NOW)
    assert await acme.backfills.begin(SITE, SINCE, "two", later(seconds=29), later(minutes=1)) is None
    await acme.backfills.renew(claim, later(minutes=5))
    assert await acme.backfills.begin(SITE, SINCE, "two", later(minutes=4), later(minutes=6)) is None
    await acme.backfills.release(claim)
    await begun(acme, "two", 241)


async def test_what_was_not_finished_is_gone_on_with(acme: Store) -> None:
    claim, record = await begun(acme)
    half = replace(record, messages=50, octets=5000, window_at=NOW, window_octets=5000)
    await acme.backfills.note(claim, half)
    claim, record = await begun(acme, "two", 31)
    assert record == replace(half, updated_at=later(seconds=31))
    await acme.backfills.note(claim, replace(record, finished_at=later(minutes=1)))
    await acme.backfills.release(claim)
    _, fresh = await begun(acme, "three", 90)
    assert (fresh.messages, fresh.octets, fresh.begun_at) == (0, 0, later(seconds=90))
    assert (fresh.finished_at, fresh.window_at, fresh.window_octets) == (None, NOW, 5000)


async def test_who_comes_late_writes_nothing(acme: Store) -> None:
    late, record = await begun(acme)
    await begun(acme, "two", 31)
    for write in (acme.backfills.note(late, replace(record, messages=9)), acme.backfills.renew(late, NOW)):
        with pytest.raises(LeaseLost):
            await write
    await acme.backfills.release(late)
    stored = await acme.backfills.find(SITE)
    assert stored is not None
    assert stored.messages == 0
    assert await acme.backfills.begin(SITE, SINCE, "three", later(seconds=32), later(minutes=2)) is None


async def test_it_goes_with_its_site(acme: Store) -> None:
    await begun(acme)
    await acme.sites.delete(SITE)
    assert await acme.backfills.find(SITE) is None
    with pytest.raises(NotFound):
        await acme.backfills.begin(SITE, SINCE, "one", NOW, later(minutes=1))
