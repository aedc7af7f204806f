"""Claims on rows: the columns `lease_*` of threads and submissions.

A lease that ran out is still its holder's until somebody takes it: the token, which grows with each claim,
decides, never the clock of a late writer.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Update, bindparam, func, or_, select, update

from postroom.core.errors import LeaseLost
from postroom.core.model import Claim
from postroom.storage.statements import Connection, Statement


def free(table: Table) -> ColumnElement[bool]:
    """The row has no live lease at `:now`."""
    now = bindparam("now", type_=table.c.lease_until.type)
    return or_(table.c.lease_until.is_(None), table.c.lease_until <= now)


def by_turns(due: Select[Any]) -> Select[Any]:
    """Of rows (`site_id`, `id`, `at`), which come ordered by `at`: the first of each site, then the second of
    each, and so on, for `looked`. A site with thousands does not keep the others waiting."""
    first = due.limit(bindparam("considered")).subquery()
    turn = func.row_number().over(partition_by=first.c.site_id, order_by=first.c.at)
    return select(first.c.site_id, first.c.id).order_by(turn, first.c.at).limit(bindparam("limit"))


def looked(now: datetime, limit: int) -> dict[str, Any]:
    """The parameters of a statement of `by_turns`."""
    return {"now": now, "limit": limit, "considered": limit * 10}


def take(table: Table) -> Update:
    """Give the row to `:owner` until `:until`; add the conditions, execute, and read what RETURNING gives."""
    return update(table).values(
        lease_owner=bindparam("owner"), lease_until=bindparam("until"), lease_token=table.c.lease_token + 1
    )


def ours(table: Table) -> ColumnElement[bool]:
    """The row bears the claim of `claim_values`."""
    return (
        (table.c.id == bindparam("b_id"))
        & (table.c.lease_token == bindparam("b_token"))
        & (table.c.lease_owner == bindparam("b_owner"))
    )


def given_back() -> dict[str, Any]:
    """The columns of a row that nobody holds; the token stays, so that it never comes again."""
    return {"lease_owner": None, "lease_until": None}


def claim_values(claim: Claim) -> dict[str, Any]:
    """The parameters of `ours`."""
    return {"b_id": claim.id, "b_token": claim.token, "b_owner": claim.owner}


class Leases:
    """Renews claims on the rows of one table."""

    def __init__(self, table: Table) -> None:
        self._renew = Statement(update(table).where(ours(table)).values(lease_until=bindparam("b_until")))

    def renew(self, connection: Connection, claim: Claim, until: Any) -> None:
        """Hold the row until then. Raises `LeaseLost`."""
        write(connection, self._renew, claim_values(claim) | {"b_until": until})


def write(connection: Connection, statement: Statement, values: dict[str, Any]) -> None:
    """Execute an update that compares the token. Raises `LeaseLost` when it met no row."""
    if connection.count(statement, values) != 1:
        raise lost()


def lost() -> LeaseLost:
    """What a late writer is told."""
    return LeaseLost("the claim ran out and the row belongs to another; nothing was written")
