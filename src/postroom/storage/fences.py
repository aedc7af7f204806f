"""What a watcher's transactions begin with: is the account still its to act on?

The row of the holding stays locked until the transaction ends, so that nobody can take the account between
the question and the writing. Who takes accounts passes locked ones by.
"""

from copy import copy
from typing import Self

from sqlalchemy import bindparam, select

from postroom.core.shares import Holding, fenced_off
from postroom.storage.database import Database
from postroom.storage.pool import Work
from postroom.storage.statements import Connection, Statement
from postroom.storage.tables_workers import holdings

_HELD = select(holdings.c.token).where(
    holdings.c.site_id == bindparam("site"),
    holdings.c.owner == bindparam("owner"),
    holdings.c.token == bindparam("token"),
)
_HOLDS = Statement(_HELD)
_LOCKS = Statement(_HELD.with_for_update(read=True))


def unfenced(connection: Connection) -> None:
    """Where nobody else can hold the account."""
    del connection


def fence(holding: Holding) -> Work[None]:
    """The work a transaction begins with. Raises `LeaseLost`."""
    values = {"site": holding.site_id, "owner": holding.owner, "token": holding.token}

    def work(connection: Connection) -> None:
        if connection.first(_LOCKS, values) is None:
            raise fenced_off()

    return work


class Fenced:
    """A part of storage whose writing transactions begin with `fence`."""

    def __init__(self) -> None:
        self.fence: Work[None] = unfenced

    def behind(self, fence: Work[None]) -> Self:
        """The same part for the watcher of one account; statements are shared."""
        twin = copy(self)
        twin.fence = fence
        return twin


class SqlFence:
    """`core.shares.Fence` on a database."""

    def __init__(self, database: Database, holding: Holding) -> None:
        self._database = database
        self._values = {"site": holding.site_id, "owner": holding.owner, "token": holding.token}

    async def check(self) -> None:
        """`Fence.check`."""
        if await self._database.read(lambda c: c.first(_HOLDS, self._values)) is None:
            raise fenced_off()
