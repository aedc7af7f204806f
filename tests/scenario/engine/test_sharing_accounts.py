"""Workers that come, go, die and stand still, over one PostgreSQL and a clock that the test moves.

Nobody acts on an account that another holds, and within 15 s everybody has a fair share."""

import asyncio
import random
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
import pytest

from postroom.core.errors import LeaseLost
from postroom.core.model import Cursor
from postroom.core.ports import NoSteps
from postroom.core.shares import Holding, Worker
from postroom.core.store import Store
from postroom.engine.shares import LEASE, ROUND_SECONDS, SharedAccounts
from postroom.storage import open_store
from tests.support.clock import START, TestClock
from tests.support.databases import Cluster
from tests.support.stored import accepted, event, outgoing, site, submission, thread

ROUND = timedelta(seconds=ROUND_SECONDS)
REBALANCED = timedelta(seconds=15)


class Seats:
    """Which accounts a worker watches (`engine.shares.Watching`); nothing is connected."""

    def __init__(self) -> None:
        self.taken: dict[str, Holding] = {}
        self.poked: list[tuple[str, str]] = []

    def watched(self) -> Mapping[str, Holding]:
        return self.taken

    def begin(self, holding: Holding) -> None:
        assert holding.site_id not in self.taken
        self.taken[holding.site_id] = holding

    async def end(self, site_ids: Collection[str]) -> None:
        for site_id in site_ids:
            self.taken.pop(site_id, None)

    def refresh(self, site_id: str) -> None:
        self.poked.append(("look", site_id))

    def changed(self, site_id: str) -> None:
        self.poked.append(("changed", site_id))


@dataclass
class Member:
    """A simulated worker process."""

    name: str
    accounts: SharedAccounts
    due: datetime
    seats: Seats = field(default_factory=Seats)
    heartbeat: datetime = START


class Crew:
    """All workers there are, each holding its rounds by the clock. `standing`: stopped, as by SIGSTOP."""

    def __init__(self, store: Store, clock: TestClock, chance: random.Random) -> None:
        self.store = store
        self.clock = clock
        self.chance = chance
        self.running: list[Member] = []
        self.standing: list[Member] = []
        self.tokens: dict[str, int] = {}
        self.refused = 0
        self._born = 0

    # --- what happens to workers ----------------------------------------------------------------------

    async def join(self) -> None:
        self._born += 1
        name = f"w{self._born}"
        worker = Worker(name, "host", "worker", self.clock.now())
        member = Member(name, SharedAccounts(self.store.shares, worker, self.clock), self.clock.now())
        self.running.append(member)
        await self._round(member)

    async def leave(self, member: Member) -> None:
        self.running.remove(member)
        keeping = asyncio.create_task(member.accounts.keep(member.seats))
        await self.clock.until_asleep(self.clock.sleepers + 2)
        keeping.cancel()
        await asyncio.wait([keeping])
        assert not member.seats.taken

    def kill(self, member: Member) -> None:
        self.running.remove(member)

    def stop(self, member: Member) -> None:
        self.running.remove(member)
        self.standing.append(member)

    async def go_on(self, member: Member) -> None:
        self.standing.remove(member)
        for holding in tuple(member.seats.taken.values()):
            await self.act(holding)
        self.running.append(member)
        await self._round(member)

    async def advance(self, span: timedelta) -> None:
        ends = self.clock.now() + span
        while self.running:
            member = min(self.running, key=lambda one: one.due)
            if member.due > ends:
                break
            await self.clock.advance_to(member.due)
            await self._round(member)
        await self.clock.advance_to(ends)

    async def _round(self, member: Member) -> None:
        await member.accounts.hold_round(member.seats)
        while parting := [task for task in asyncio.all_tasks() if task.get_name() == "part"]:
            await asyncio.wait(parting)
        member.heartbeat = self.clock.now()
        member.due = self.clock.now() + ROUND * self.chance.uniform(0.8, 1.0)
        await self.check()

    # --- what must hold -------------------------------------------------------------------------------

    async def act(self, holding: Holding) -> bool:
        """A watcher's write; whether it was let through. Tokens that were let through never go back."""
        known = self.tokens.get(holding.site_id, 0)
        try:
            async with self.store.held(holding).intake.transaction(holding.site_id) as tx:
                await tx.move_cursor(Cursor(holding.site_id, "INBOX", 1, holding.token))
        except LeaseLost:
            self.refused += 1
            return False
        assert holding.token >= known
        self.tokens[holding.site_id] = holding.token
        return True

    async def check(self) -> None:
        """No two whose heartbeat lasts watch one account; what they write is let through."""
        now = self.clock.now()
        live = [one for one in (*self.running, *self.standing) if now < one.heartbeat + LEASE]
        held = [site_id for one in live for site_id in one.seats.taken]
        assert len(held) == len(set(held)), "two watch one account"
        if live and (some := [h for one in live for h in one.seats.taken.values()]):
            assert await self.act(self.chance.choice(some))

    def shares(self) -> list[int]:
        return sorted(len(member.seats.taken) for member in self.running)


@pytest.fixture
def url(postgresql: Cluster) -> str:
    return postgresql.migrated()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(url, NoSteps()) as opened:
        yield opened


async def add_accounts(store: Store, number: int) -> None:
    for n in range(number):
        await store.sites.save(site(f"s{n:02}", email=f"s{n:02}@acme.example", aliases=()))


def rebalanced(crew: Crew, accounts: int) -> None:
    shares = crew.shares()
    assert sum(shares) == accounts
    assert shares[-1] - shares[0] <= 1


@pytest.mark.parametrize("seed", range(6))
async def test_workers_that_come_and_go_never_share_an_account_and_always_even_out(
    store: Store, seed: int
) -> None:
    chance = random.Random(seed)
    accounts = chance.randint(1, 25)
    await add_accounts(store, accounts)
    crew = Crew(store, TestClock(), chance)
    await crew.join()
    for _ in range(12):
        for _ in range(chance.randint(1, 3)):
            await something_happens(crew)
        await crew.advance(timedelta(seconds=chance.uniform(0, 12)))
        if not crew.running:
            await crew.join()
        if chance.random() < 0.5:
            for member in tuple(crew.standing):
                await crew.go_on(member)
            await crew.advance(REBALANCED)
            rebalanced(crew, accounts)


async def something_happens(crew: Crew) -> None:
    what = crew.chance.choice(("join", "join", "leave", "kill", "stop", "go on"))
    if what == "join" and len(crew.running) < 6:
        await crew.join()
    elif what == "go on" and crew.standing:
        await crew.go_on(crew.chance.choice(crew.standing))
    elif crew.running and what in ("leave", "kill", "stop"):
        member = crew.chance.choice(crew.running)
        if what == "leave":
            await crew.leave(member)
        else:
            getattr(crew, what)(member)


async def test_joins_leaves_and_deaths_are_made_up_for_within_15_seconds(store: Store) -> None:
    await add_accounts(store, 10)
    crew = Crew(store, TestClock(), random.Random(1))
    await crew.join()
    assert crew.shares() == [10]
    for happens, expected in (
        (crew.join, [5, 5]),
        (crew.join, [3, 3, 4]),
        (crew.join, [2, 2, 3, 3]),
        (lambda: crew.leave(crew.running[0]), [3, 3, 4]),
    ):
        await happens()
        await crew.advance(REBALANCED)
        assert crew.shares() == expected
    crew.kill(crew.running[1])
    await crew.advance(REBALANCED)
    assert crew.shares() == [5, 5]


async def test_a_worker_that_stood_still_writes_nothing_and_begins_anew(store: Store) -> None:
    await add_accounts(store, 4)
    crew = Crew(store, TestClock(), random.Random(2))
    await crew.join()
    await crew.join()
    await crew.advance(REBALANCED)
    late = crew.running[0]
    mine = set(late.seats.taken)
    crew.stop(late)
    await crew.advance(REBALANCED)
    assert crew.shares() == [4]
    await crew.go_on(late)
    assert crew.refused == 2
    await crew.advance(REBALANCED)
    assert crew.shares() == [2, 2]
    cursors = {site_id: await store.intake.cursor(site_id, "INBOX") for site_id in mine}
    assert {c.next_uid for c in cursors.values() if c} <= set(crew.tokens.values())


async def test_who_loses_the_database_stops_before_others_may_begin(store: Store, url: str) -> None:
    """The heartbeat hangs in the database: its watchers end when the lease does, by their own clock."""
    await add_accounts(store, 2)
    clock = TestClock()
    seats = Seats()
    accounts = SharedAccounts(store.shares, Worker("w", "host", "worker", START), clock)
    keeping = asyncio.create_task(accounts.keep(seats))
    await clock.until_asleep(2)
    await clock.advance_to(START + ROUND)
    await clock.until_asleep(2)
    assert len(seats.taken) == 2
    with psycopg.connect(url) as other:
        other.execute("SELECT FROM workers FOR UPDATE")
        await clock.advance_to(START + 2 * ROUND + timedelta(seconds=0.5))
        assert len(seats.taken) == 2
        await clock.advance_to(START + ROUND + LEASE + timedelta(seconds=0.5))
        assert not seats.taken
        other.rollback()
    async with asyncio.timeout(10):  # the heartbeat was in time after all
        while len(seats.taken) < 2:  # noqa: ASYNC110 - the loop has to turn
            await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert not seats.taken
    assert await store.shares.workers(clock.now()) == ()


async def test_who_comes_back_late_stops_everything_before_it_asks_the_database(
    store: Store, url: str
) -> None:
    await add_accounts(store, 2)
    clock = TestClock()
    seats = Seats()
    accounts = SharedAccounts(store.shares, Worker("w", "host", "worker", START), clock)
    await accounts.hold_round(seats)
    before = dict(seats.taken)
    await clock.advance(LEASE.total_seconds())
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE workers")
        coming_back = asyncio.create_task(accounts.hold_round(seats))
        async with asyncio.timeout(10):
            while seats.taken:  # noqa: ASYNC110 - the loop has to turn
                await asyncio.sleep(0)
        assert not coming_back.done()
        other.rollback()
    await coming_back
    assert {holding.token for holding in seats.taken.values()} == {2}
    assert before.keys() == seats.taken.keys()


async def test_lost_bells_do_no_harm_to_who_watches(store: Store) -> None:
    """What the API or another worker did for an account reaches its watcher with the next round."""
    await add_accounts(store, 3)
    seats = Seats()
    accounts = SharedAccounts(store.shares, Worker("w", "host", "worker", START), TestClock())
    await accounts.hold_round(seats)
    await accounts.hold_round(seats)
    assert seats.poked == []
    await store.sites.save(site("s00", email="s00@acme.example", aliases=(), version=2, quote=True))
    sent = accepted(submission(site_id="s01"))
    await store.outbox.add(sent, outgoing(site_id="s01"), thread(site_id="s01"), event(site_id="s01"))
    await accounts.hold_round(seats)
    assert sorted(seats.poked) == [("changed", "s00"), ("look", "s01")]
    await store.aftercare.done([sent.id], "done")
    seats.poked.clear()
    await accounts.hold_round(seats)
    assert seats.poked == []
