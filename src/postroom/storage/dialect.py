"""The differences between the two databases that statements cannot hide, each named once."""

from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import BindParameter, Column, ColumnElement, Table, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from postroom.storage.statements import Connection, Statement
from postroom.storage.types import Key, TextList

OnConflictInsert = sqlite.Insert | postgresql.Insert

_ADVISORY_LOCK = Statement(select(func.pg_advisory_xact_lock(bindparam("number"))))
_TRY_LOCK = Statement(select(func.pg_try_advisory_xact_lock(bindparam("number"))))


class Dialect(Protocol):
    """What storage needs that is not said the same way everywhere."""

    begin: str

    def insert(self, table: Table) -> OnConflictInsert:
        """An INSERT that knows ON CONFLICT."""
        ...

    def serialise(self, connection: Connection, name: str) -> None:
        """Until the transaction ends, no other that asks for `name` runs."""
        ...

    def serialise_now(self, connection: Connection, name: str) -> bool:
        """The same without waiting: False when another has `name`."""
        ...


class SQLite:
    """One writer at a time: a transaction is serialised as it is."""

    begin = "BEGIN IMMEDIATE"

    def insert(self, table: Table) -> OnConflictInsert:
        """`Dialect.insert`."""
        return sqlite.insert(table).inline()

    def serialise(self, connection: Connection, name: str) -> None:
        """`Dialect.serialise`: nothing to do."""

    def serialise_now(self, connection: Connection, name: str) -> bool:
        """`Dialect.serialise_now`: nothing to do."""
        del connection, name
        return True


class PostgreSQL:
    """Many writers; names are advisory locks that end with the transaction."""

    begin = "BEGIN"

    def insert(self, table: Table) -> OnConflictInsert:
        """`Dialect.insert`."""
        return postgresql.insert(table).inline()

    def serialise(self, connection: Connection, name: str) -> None:
        """`Dialect.serialise`."""
        connection.run(_ADVISORY_LOCK, {"number": lock_number(name)})

    def serialise_now(self, connection: Connection, name: str) -> bool:
        """`Dialect.serialise_now`."""
        return bool(connection.scalar(_TRY_LOCK, {"number": lock_number(name)}))


def lock_number(name: str) -> int:
    """The number of an advisory lock: 64 bits of a digest, so that names meet by chance only."""
    return int.from_bytes(sha256(f"postroom:{name}".encode()).digest()[:8], signed=True)


def among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """`column` is one of the texts in the parameter `name`, however many they are."""
    return column.op("IN", is_comparison=True)(_Texts(name))


def not_among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """`column` is none of the texts in the parameter `name`."""
    return column.op("NOT IN", is_comparison=True)(_Texts(name))


class _Texts(ColumnElement[str]):
    """The texts of one parameter as rows."""

    inherit_cache = False
    type = Key

    def __init__(self, name: str) -> None:
        self.parameter: BindParameter[Any] = bindparam(name, type_=TextList())


@compiles(_Texts, "sqlite")
def _texts_on_sqlite(element: _Texts, compiler: SQLCompiler, **options: Any) -> str:
    parameter = compiler.process(element.parameter, **options)
    return f"(SELECT value FROM json_each({parameter}))"  # noqa: S608 - the name of a parameter, no value


@compiles(_Texts, "postgresql")
def _texts_on_postgresql(element: _Texts, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT unnest({compiler.process(element.parameter, **options)}))"
