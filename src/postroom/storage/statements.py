"""Statements that are compiled once, and the connection that runs them without SQLAlchemy in between.

SQLAlchemy writes the SQL for both databases and knows how values go in and come out; asking it at every
execution costs 60 µs of CPU on SQLite and 120 µs on PostgreSQL, more than the statement itself. So each is
compiled at its first use and from then on handed to the driver, which takes 5 and 50 µs.
"""

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import BindParameter, Delete, Insert, Select, Table, Update, bindparam
from sqlalchemy.engine import Dialect as CoreDialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Core = Select[Any] | Insert | Update | Delete
Values = Mapping[str, Any]
Row = Any  # a named tuple of the statement's columns
_Convert = Callable[[Any], Any]
_NONE: dict[str, Any] = {}


class Statement:
    """A statement of SQLAlchemy's, ready for every database that asks. `bindparam`s are its parameters."""

    __slots__ = ("_compiled", "core")

    def __init__(self, core: Core) -> None:
        self.core = core
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, dialect: CoreDialect) -> "_Compiled":
        """The statement in the words of this database."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _Compiled(self.core, dialect)
        return found


def given(*columns: str) -> dict[str, BindParameter[Any]]:
    """Values for an INSERT or UPDATE: each of these columns from the parameter of its name."""
    return {name: bindparam(name) for name in columns}


def columns_of(table: Table) -> list[str]:
    """The names of a table's columns, without those that the database fills in."""
    return [column.name for column in table.c if column.autoincrement is not True]


class _Compiled:
    """One statement as one database wants it."""

    __slots__ = ("_constants", "_into", "_out_of", "_row", "sql")

    def __init__(self, core: Core, dialect: CoreDialect) -> None:
        compiled = core.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self.sql = compiled.string
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        into = {name: _into(bind.type, dialect) for name, bind in binds.items()}
        self._into = [(name, into[name]) for name, bind in binds.items() if bind.required]
        self._constants = {
            name: _converted(into[name], bind.effective_value)
            for name, bind in binds.items()
            if not bind.required
        }
        columns = _columns(core)
        self._row = _row_type([name for name, _ in columns])
        self._out_of = [(at, out) for at, (_, kind) in enumerate(columns) if (out := _out_of(kind, dialect))]

    def parameters(self, values: Values) -> dict[str, Any]:
        """What the driver gets for these values."""
        found = dict(self._constants)
        for name, convert in self._into:
            value = values[name]
            found[name] = value if convert is None or value is None else convert(value)
        return found

    def row(self, raw: Sequence[Any]) -> Row:
        """Our values for what the driver gave."""
        values = list(raw)
        for at, convert in self._out_of:
            if values[at] is not None:
                values[at] = convert(values[at])
        return self._row._make(values)


def _row_type(names: list[str]) -> Any:
    make: Any = collections.namedtuple  # mypy wants the fields of one known beforehand
    return make("Row", names, rename=True)


def _columns(core: Core) -> list[tuple[str, TypeEngine[Any]]]:
    described = core.column_descriptions if isinstance(core, Select) else core.returning_column_descriptions
    return [(column["name"], column["type"]) for column in described]


def _into(kind: TypeEngine[Any], dialect: CoreDialect) -> _Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _out_of(kind: TypeEngine[Any], dialect: CoreDialect) -> _Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _converted(convert: _Convert | None, value: Any) -> Any:
    return value if convert is None else convert(value)


class DriverCursor(Protocol):
    """What we use of a driver's cursor (PEP 249)."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def executemany(self, sql: str, parameters: Any, /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...
    def close(self) -> None: ...


class Connection:
    """Runs statements on one database connection; the transaction is its owner's affair."""

    __slots__ = ("_cursor", "_dialect")

    def __init__(self, cursor: DriverCursor, dialect: CoreDialect) -> None:
        self._cursor = cursor
        self._dialect = dialect

    def command(self, sql: str) -> None:
        """Execute a word to the database itself, such as BEGIN."""
        self._cursor.execute(sql)

    def run(self, statement: Statement, values: Values = _NONE) -> None:
        """Execute it."""
        self._execute(statement, values)

    def run_many(self, statement: Statement, rows: Sequence[Values]) -> None:
        """Execute it once for each of the rows."""
        compiled = statement.compiled(self._dialect)
        if len(rows) == 1:
            self._cursor.execute(compiled.sql, compiled.parameters(rows[0]))
        elif rows:
            self._cursor.executemany(compiled.sql, [compiled.parameters(row) for row in rows])

    def count(self, statement: Statement, values: Values = _NONE) -> int:
        """Execute it; how many rows it met."""
        self._execute(statement, values)
        return self._cursor.rowcount

    def first(self, statement: Statement, values: Values = _NONE) -> Row | None:
        """Its first row, or None."""
        compiled = self._execute(statement, values)
        raw = self._cursor.fetchone()
        return None if raw is None else compiled.row(raw)

    def all(self, statement: Statement, values: Values = _NONE) -> list[Row]:
        """All its rows."""
        compiled = self._execute(statement, values)
        return [compiled.row(raw) for raw in self._cursor.fetchall()]

    def scalar(self, statement: Statement, values: Values = _NONE) -> Any:
        """The first column of its first row, or None."""
        row = self.first(statement, values)
        return None if row is None else row[0]

    def scalars(self, statement: Statement, values: Values = _NONE) -> list[Any]:
        """The first column of all its rows."""
        return [row[0] for row in self.all(statement, values)]

    def _execute(self, statement: Statement, values: Values) -> _Compiled:
        compiled = statement.compiled(self._dialect)
        self._cursor.execute(compiled.sql, compiled.parameters(values))
        return compiled
