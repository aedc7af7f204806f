"""Which accounts a process watches and where its watchers write: chosen once, by the database."""

from collections.abc import Callable

from postroom.core.ports import Clock
from postroom.core.shares import Holding, NoFence, Worker
from postroom.core.store import HeldStore, Store
from postroom.engine.shares import AllAccounts, SharedAccounts
from postroom.engine.watch import Watchers, WatchParts

PartsOver = Callable[[HeldStore], WatchParts]


def watching_alone(store: Store, parts: PartsOver, clock: Clock) -> Watchers:
    """For the only process of a database: all accounts, without fences."""
    unheld = HeldStore(store.accounts, store.intake, store.aftercare, store.desk, NoFence())
    everybodys = parts(unheld)

    def same(holding: Holding) -> WatchParts:
        del holding
        return everybodys

    return Watchers(same, AllAccounts(store.sites, clock))


def watching_among_others(store: Store, parts: PartsOver, worker: Worker, clock: Clock) -> Watchers:
    """For one of many processes: its share, each account behind its fence."""

    def fenced(holding: Holding) -> WatchParts:
        return parts(store.held(holding))

    return Watchers(fenced, SharedAccounts(store.shares, worker, clock))
