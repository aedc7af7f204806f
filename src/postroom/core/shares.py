"""How accounts are shared among processes: who holds which, and what proves it.

A worker lives while its heartbeat is fresh. An account is free when nobody holds it or its holder is dead.
Each taking raises the account's token; whoever comes with an older one writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from postroom.core.errors import LeaseLost


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that watches accounts. `id` is never used by another one, also not later."""

    id: str
    host: str
    role: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker as the database knows it. `accounts`: how many it holds; nothing when it is not `live`."""

    worker: Worker
    seen_at: datetime
    live: bool
    accounts: int


@dataclass(frozen=True, slots=True)
class Holding:
    """What proves that an account is its watcher's to act on."""

    site_id: str
    owner: str
    token: int


@dataclass(frozen=True, slots=True)
class HeldSite:
    """A site whose account we hold. `version` is the site's; `account`: whether there still is one."""

    holding: Holding
    version: int
    account: bool


@dataclass(frozen=True, slots=True)
class Round:
    """How the sharing stands: what is ours (None: as it was), how many of them are ours to keep, and which of
    them have something to do in the mailbox (aftercare). `stand` tells one `held` from another."""

    held: tuple[HeldSite, ...] | None
    stand: str
    share: int
    care: frozenset[str]


class Fence(Protocol):
    """Stands before what a watcher does in a mailbox."""

    async def check(self) -> None:
        """Raise `LeaseLost` when the account is no longer ours to act on."""
        ...


class NoFence:
    """`Fence` where this process is the only one that watches."""

    async def check(self) -> None:
        """Nothing stands in the way."""


class Shares(Protocol):
    """Shares accounts among workers. Times are the caller's clock."""

    async def join(self, worker: Worker, now: datetime, until: datetime) -> None:
        """Live until then, holding nothing: what was held under this id is given back."""
        ...

    async def renew(self, worker_id: str, now: datetime, until: datetime) -> None:
        """Live until then. Raises `LeaseLost` when the worker is dead already, or gone."""
        ...

    async def round(self, worker_id: str, now: datetime, seen_since: datetime, stand: str = "") -> Round:
        """Take what is free up to the fair share among the workers seen since then: nothing waits for one
        that is about to be found dead. `stand`: that of the last round, whose `held` is not told again when
        nothing changed. Raises `LeaseLost` when the worker itself does not live."""
        ...

    async def release(self, holdings: Sequence[Holding]) -> None:
        """Give accounts back that are still ours."""
        ...

    async def leave(self, worker_id: str) -> None:
        """Give everything back and be gone."""
        ...

    async def workers(self, now: datetime) -> tuple[WorkerSeen, ...]:
        """The workers that live, or died lately; longest running first."""
        ...


def fair_shares(held: Mapping[str, int], accounts: int) -> dict[str, int]:
    """How many accounts each worker is to hold, from how many it holds now.

    No two differ by more than one, together they make `accounts`, and who holds more already keeps more: as
    little as possible changes hands.
    """
    if not held:
        return {}
    least, more = divmod(accounts, len(held))
    ranked = sorted(held, key=lambda worker: (-min(held[worker], least + 1), worker))
    return {worker: least + (rank < more) for rank, worker in enumerate(ranked)}


def fenced_off() -> LeaseLost:
    """What a late watcher is told."""
    return LeaseLost("the account is watched by another process; nothing was written")
