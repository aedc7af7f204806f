"""Accounts shared among workers, and the fence that a late watcher runs into."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from postroom.core.errors import LeaseLost
from postroom.core.model import AccountState, AccountStatus, Cursor, Event, Site
from postroom.core.shares import HeldSite, Worker, fair_shares
from postroom.core.store import HeldStore, Store
from tests.support.stored import (
    NOW,
    accepted,
    event,
    later,
    message,
    outgoing,
    site,
    submission,
    take_in,
    thread,
)

LEASE = timedelta(seconds=10)


def worker(name: str) -> Worker:
    return Worker(name, "host", "worker", NOW)


async def joined(store: Store, *names: str) -> None:
    for name in names:
        await store.shares.join(worker(name), NOW, NOW + LEASE)


async def with_accounts(store: Store, number: int) -> None:
    for n in range(number):
        await store.sites.save(site(f"s{n:02}", email=f"s{n:02}@acme.example", aliases=()))


def without_account(plain: Site) -> Site:
    return replace(plain, account_since=None)


@dataclass(frozen=True)
class Found:
    """A round that was told everything."""

    held: tuple[HeldSite, ...]
    share: int
    care: frozenset[str]


async def share(store: Store, name: str, now: datetime) -> Found:
    found = await store.shares.round(name, now, now - timedelta(seconds=5))
    assert found.held is not None
    return Found(found.held, found.share, found.care)


def sites_of(found: Found) -> list[str]:
    return [held.holding.site_id for held in found.held]


async def settled(store: Store, *names: str) -> dict[str, list[str]]:
    """Rounds in turn, each giving up at once what is above its share, until nothing changes hands."""
    before: dict[str, list[str]] = {}
    for _ in range(10):
        held: dict[str, list[str]] = {}
        for name in names:
            found = await share(store, name, NOW)
            await store.shares.release([h.holding for h in found.held[found.share :]])
            held[name] = sites_of(found)[: found.share]
        if held == before:
            return held
        before = held
    raise AssertionError("it never settles")


async def test_one_worker_holds_everything_with_an_account(store: Store) -> None:
    await with_accounts(store, 3)
    await store.sites.save(without_account(site("plain", email=None)))
    await joined(store, "a")
    found = await share(store, "a", NOW)
    assert (sites_of(found), found.share) == (["s00", "s01", "s02"], 3)
    assert [held.version for held in found.held] == [1, 1, 1]
    assert await share(store, "a", NOW) == found


@pytest.mark.parametrize(
    ("accounts", "names"), [(10, "abcd"), (7, "abc"), (2, "abc"), (0, "ab"), (12, "abc")]
)
async def test_workers_hold_evenly_and_nothing_twice(store: Store, accounts: int, names: str) -> None:
    await with_accounts(store, accounts)
    await joined(store, *names)
    held = await settled(store, *names)
    counts = [len(sites) for sites in held.values()]
    assert max(counts) - min(counts) <= 1
    assert sorted(site_id for sites in held.values() for site_id in sites) == [
        f"s{n:02}" for n in range(accounts)
    ]


async def test_a_newcomer_gets_its_share_only_once_it_is_given_up(store: Store) -> None:
    await with_accounts(store, 4)
    await joined(store, "a")
    await share(store, "a", NOW)
    await joined(store, "b")
    assert sites_of(await share(store, "b", NOW)) == []
    above = await share(store, "a", NOW)
    assert (len(above.held), above.share) == (4, 2)
    given = [held.holding for held in above.held[2:]]
    await store.shares.release(given)
    taken = await share(store, "b", NOW)
    assert sites_of(taken) == [holding.site_id for holding in given]
    assert all(held.holding.token > 1 for held in taken.held)


async def test_the_accounts_of_a_dead_worker_are_taken_with_a_higher_token(store: Store) -> None:
    await with_accounts(store, 2)
    await joined(store, "a")
    dead = await share(store, "a", NOW)
    now = NOW + LEASE
    await store.shares.join(worker("b"), now - timedelta(seconds=1), now + LEASE)
    assert sites_of(await share(store, "b", now - timedelta(seconds=1))) == []
    taken = await share(store, "b", now)
    assert sites_of(taken) == sites_of(dead)
    assert [h.holding.token for h in taken.held] == [h.holding.token + 1 for h in dead.held]
    with pytest.raises(LeaseLost):
        await store.shares.renew("a", now, now + LEASE)
    with pytest.raises(LeaseLost):
        await share(store, "a", now)
    await store.shares.release([h.holding for h in dead.held])
    assert sites_of(await share(store, "b", now)) == sites_of(dead)


async def test_a_heartbeat_keeps_what_is_held(store: Store) -> None:
    await with_accounts(store, 1)
    await joined(store, "a")
    await share(store, "a", NOW)
    await store.shares.renew("a", later(seconds=9), later(seconds=19))
    await store.shares.join(worker("b"), later(seconds=12), later(seconds=22))
    assert sites_of(await share(store, "b", later(seconds=12))) == []
    assert sites_of(await share(store, "a", later(seconds=12))) == ["s00"]


async def test_who_joins_anew_begins_with_nothing_and_gets_new_tokens(store: Store) -> None:
    await with_accounts(store, 1)
    await joined(store, "a")
    before = await share(store, "a", NOW)
    await joined(store, "a")
    after = await share(store, "a", NOW)
    assert after.held[0].holding.token == before.held[0].holding.token + 1


async def test_who_leaves_leaves_everything_at_once(store: Store) -> None:
    await with_accounts(store, 2)
    await joined(store, "a")
    await share(store, "a", NOW)
    await joined(store, "b")
    await store.shares.leave("a")
    assert sites_of(await share(store, "b", NOW)) == ["s00", "s01"]
    assert [seen.worker.id for seen in await store.shares.workers(NOW)] == ["b"]


async def test_of_workers_that_take_at_once_each_account_has_one_holder(store: Store) -> None:
    await with_accounts(store, 9)
    names = [f"w{n}" for n in range(6)]
    await joined(store, *names)
    for _ in range(4):
        found = await asyncio.gather(*(share(store, name, NOW) for name in names))
        held = [site_id for one in found for site_id in sites_of(one)]
        assert len(held) == len(set(held))
    counts = [len(sites) for sites in (await settled(store, *names)).values()]
    assert sorted(counts) == [1, 1, 1, 2, 2, 2]


async def test_a_round_tells_of_changed_sites_lost_accounts_and_aftercare(store: Store) -> None:
    await with_accounts(store, 3)
    await joined(store, "a")
    await share(store, "a", NOW)
    await store.sites.save(site("s00", email="s00@acme.example", aliases=(), version=2, quote=True))
    await store.sites.save(without_account(site("s01", email=None, version=2)))
    sent = accepted(submission(site_id="s02"))
    began = thread(site_id="s02")
    await store.outbox.add(sent, outgoing(site_id="s02"), began, event(site_id="s02"))
    found = await share(store, "a", NOW)
    assert [(held.version, held.account) for held in found.held] == [(2, True), (2, False), (1, True)]
    assert (found.share, set(found.care)) == (2, {"s02"})
    await store.aftercare.done([sent.id], "done")
    assert (await share(store, "a", NOW)).care == frozenset()


async def test_a_site_that_is_deleted_is_no_longer_held(store: Store) -> None:
    await with_accounts(store, 2)
    await joined(store, "a")
    await share(store, "a", NOW)
    await store.sites.delete("s00")
    assert sites_of(await share(store, "a", NOW)) == ["s01"]


async def test_workers_are_shown_with_what_they_hold_and_forgotten_when_long_dead(store: Store) -> None:
    assert await store.shares.workers(NOW) == ()
    await with_accounts(store, 2)
    await joined(store, "a")
    await share(store, "a", NOW)
    (seen,) = await store.shares.workers(NOW)
    assert (seen.worker, seen.seen_at, seen.live, seen.accounts) == (worker("a"), NOW, True, 2)
    dead = later(minutes=5)
    await store.shares.join(worker("b"), dead, dead + LEASE)
    await share(store, "b", dead)
    assert [(s.worker.id, s.live, s.accounts) for s in await store.shares.workers(dead)] == [
        ("a", False, 0),
        ("b", True, 2),
    ]
    long_after = later(minutes=15)
    await store.shares.join(worker("c"), long_after, long_after + LEASE)
    await share(store, "c", long_after)
    assert [s.worker.id for s in await store.shares.workers(long_after)] == ["b", "c"]


# --- the fence ----------------------------------------------------------------------------------------


async def take_one(held: HeldStore) -> None:
    """What a watcher writes for a new mail."""
    async with held.intake.transaction("acme") as tx:
        await tx.add(message(), None, thread(), event())
        await tx.move_cursor(Cursor("acme", "INBOX", 7, 5))


@pytest.fixture
async def late(acme: Store) -> tuple[Store, HeldStore, HeldStore]:
    """Storage, the store of a watcher that lost `acme`, and that of its present one."""
    await joined(acme, "a")
    old = (await share(acme, "a", NOW)).held[0].holding
    later_on = NOW + LEASE
    await acme.shares.join(worker("b"), later_on, later_on + LEASE)
    new = (await share(acme, "b", later_on)).held[0].holding
    return acme, acme.held(old), acme.held(new)


async def test_b7_a_late_watcher_takes_no_mail_and_moves_no_cursor(
    late: tuple[Store, HeldStore, HeldStore],
) -> None:
    store, lost, held = late
    with pytest.raises(LeaseLost):
        await take_one(lost)
    assert await store.things.message("msg_1") is None
    assert await store.intake.cursor("acme", "INBOX") is None
    async with held.intake.transaction("acme") as tx:
        await tx.move_cursor(Cursor("acme", "INBOX", 7, 6))
    assert await lost.intake.cursor("acme", "INBOX") == Cursor("acme", "INBOX", 7, 6)


async def test_a_late_watcher_reports_nothing_of_the_account(
    late: tuple[Store, HeldStore, HeldStore],
) -> None:
    store, lost, held = late
    await held.accounts.report(AccountStatus("acme", AccountState.WATCHING, NOW))
    with pytest.raises(LeaseLost):
        await lost.accounts.report(AccountStatus("acme", AccountState.BACKING_OFF, NOW))
    status = await store.accounts.status("acme")
    assert status is not None
    assert status.state is AccountState.WATCHING


async def test_a_late_watcher_settles_no_aftercare(late: tuple[Store, HeldStore, HeldStore]) -> None:
    store, lost, held = late
    sent = accepted(submission())
    await store.outbox.add(sent, outgoing(), thread(), event())
    with pytest.raises(LeaseLost):
        await lost.fence.check()
    with pytest.raises(LeaseLost):
        await lost.aftercare.done([sent.id], "done")
    assert len(await held.aftercare.due("acme", 10)) == 1
    await held.fence.check()
    await held.aftercare.done([sent.id], "done")
    assert await held.aftercare.due("acme", 10) == ()


async def test_a_late_watcher_notes_no_events(late: tuple[Store, HeldStore, HeldStore]) -> None:
    store, lost, held = late
    with pytest.raises(LeaseLost):
        await lost.desk.note([noted("late")])
    await held.desk.note([noted("in.time")])
    page = await store.lists.events("acme", {}, None, 10)
    assert [found.type for found in page.items] == ["in.time"]


async def test_mail_by_webhook_needs_no_holding(late: tuple[Store, HeldStore, HeldStore]) -> None:
    store, _, _ = late
    await take_in(store, message())
    assert await store.things.message("msg_1") is not None


def noted(kind: str) -> Event:
    return event(kind)


# --- who is to hold how many --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "accounts", "shares"),
    [
        ({}, 5, {}),
        ({"a": 0}, 5, {"a": 5}),
        ({"a": 10, "b": 0, "c": 0}, 10, {"a": 4, "b": 3, "c": 3}),
        ({"a": 3, "b": 4}, 7, {"a": 3, "b": 4}),
        ({"a": 4, "b": 5, "c": 0}, 10, {"a": 4, "b": 3, "c": 3}),
        ({"a": 0, "b": 0, "c": 0}, 2, {"a": 1, "b": 1, "c": 0}),
        ({"a": 9, "b": 9}, 0, {"a": 0, "b": 0}),
    ],
)
def test_fair_shares_differ_by_one_and_move_little(
    held: dict[str, int], accounts: int, shares: dict[str, int]
) -> None:
    assert fair_shares(held, accounts) == shares


async def test_nothing_waits_for_a_newcomer_that_died_at_once(store: Store) -> None:
    await with_accounts(store, 4)
    await joined(store, "stillborn", "a")
    assert len((await share(store, "a", NOW)).held) == 2
    await store.shares.renew("a", later(seconds=5), later(seconds=15))
    assert len((await share(store, "a", later(seconds=5))).held) == 4


async def test_what_a_silent_worker_holds_is_its_own_until_its_lease_ends(store: Store) -> None:
    await with_accounts(store, 4)
    await joined(store, "silent", "a")
    await share(store, "silent", NOW)
    await store.shares.renew("a", later(seconds=9), later(seconds=19))
    assert len((await share(store, "a", later(seconds=9))).held) == 2
    assert len((await share(store, "a", later(seconds=10))).held) == 4


async def test_what_is_held_is_told_again_only_when_it_changed(store: Store) -> None:
    async def told(stand: str) -> tuple[bool, str]:
        found = await store.shares.round("a", NOW, NOW - LEASE, stand)
        return found.held is not None, found.stand

    await with_accounts(store, 3)
    await joined(store, "a")
    changed, stand = await told("")
    assert changed
    assert await told(stand) == (False, stand)
    held = (await share(store, "a", NOW)).held
    await store.sites.save(site("s00", email="s00@acme.example", aliases=(), version=2, quote=True))
    changed, after = await told(stand)
    assert changed
    await store.sites.save(without_account(site("s01", email=None, version=2)))
    changed, without = await told(after)
    assert changed
    await store.shares.release([held[2].holding])
    changed, _ = await told(without)
    assert changed
