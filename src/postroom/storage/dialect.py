"""The differences between the two databases that statements cannot hide, each named once."""

from hashlib import sha256
from typing import Literal, Protocol

from sqlalchemy import Connection, Table, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

Name = Literal["sqlite", "postgresql"]
OnConflictInsert = sqlite.Insert | postgresql.Insert

_ADVISORY_LOCK = select(func.pg_advisory_xact_lock(bindparam("number")))


class Dialect(Protocol):
    """What storage needs that is not said the same way everywhere."""

    name: Name

    def insert(self, table: Table) -> OnConflictInsert:
        """An INSERT that knows ON CONFLICT."""
        ...

    def serialise(self, connection: Connection, name: str) -> None:
        """Until the transaction ends, no other that asks for `name` runs."""
        ...


class SQLite:
    """One writer at a time: a transaction is serialised as it is."""

    name: Name = "sqlite"

    def insert(self, table: Table) -> OnConflictInsert:
        """`Dialect.insert`."""
        return sqlite.insert(table).inline()

    def serialise(self, connection: Connection, name: str) -> None:
        """`Dialect.serialise`: nothing to do."""


class PostgreSQL:
    """Many writers; names are advisory locks that end with the transaction."""

    name: Name = "postgresql"

    def insert(self, table: Table) -> OnConflictInsert:
        """`Dialect.insert`."""
        return postgresql.insert(table).inline()

    def serialise(self, connection: Connection, name: str) -> None:
        """`Dialect.serialise`."""
        connection.execute(_ADVISORY_LOCK, {"number": lock_number(name)})


def lock_number(name: str) -> int:
    """The number of an advisory lock: 64 bits of a digest, so that names meet by chance only."""
    return int.from_bytes(sha256(f"postroom:{name}".encode()).digest()[:8], signed=True)


DIALECTS: dict[str, Dialect] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}
