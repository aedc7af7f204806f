"""Moves the rows of an embedded database into PostgreSQL: in batches, gone on with after an end in the
middle, and compared at last.

Rows go table by table in the order of their keys, so that the highest key at the target tells how far it
came. The source stands still meanwhile: one transaction holds it from the first row to the last.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, Table, func, literal, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from postroom.core.errors import Conflict
from postroom.storage.dialect import lock_number
from postroom.storage.engines import connected
from postroom.storage.restoring import MARK as RESTORED
from postroom.storage.tables import facts, messages, metadata
from postroom.storage.tables_workers import holdings, workers

LIVE = frozenset({workers, holdings})
"""Tables of running processes: what stands in them is over when they end."""

MOVED = tuple(table for table in metadata.sorted_tables if table not in LIVE)
"""Everything else; a row comes after those that it points at."""

MOVE = "move"
"""The fact that names a move: at the source its id; at the target the id, and `done` once it is."""

ROWS = 1000
ROWS_WITH_TEXT = 100
_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class MoveProgress:
    """How far a move is: rows of the present table in the present phase, and of all tables together."""

    phase: Literal["copying", "comparing"]
    table: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move came to: rows by table. `before`: it was done earlier; nothing was compared now."""

    rows: Mapping[str, int]
    before: bool = False


Tell = Callable[[MoveProgress], None]


class Differs(Conflict):
    """After copying, tables at the target are not what they are at the source."""

    code = "differs"


def move_rows(source_url: str, target_url: str, tell: Tell) -> Moved:
    """Copy every row and compare; both databases have this program's schema, and nobody serves from either.

    Raises `Conflict` (codes `foreign_data`, `differs`, `running`) and what the databases refuse. Whatever
    ends it, it can be run again. Afterwards the source knows that it is out of date, as a restored backup
    does.
    """
    with connected(source_url) as source, connected(target_url) as target:
        _alone(target)
        move_id = _move_id(source)
        done = _begin(target, move_id)
        if done:
            _leave(source)
            return Moved(_counts(source), before=True)
        with source.begin():
            counts = _counts(source)
            _copy(source, target, counts, tell)
            _continue_numbers(source, target)
            _compare(source, target, counts, tell)
        with target.begin():
            _remember(target, f"{move_id} done")
        _leave(source)
    return Moved(counts)


# --- whose move it is -----------------------------------------------------------------------------


def _alone(target: Connection) -> None:
    """Hold the target until the connection ends. Raises `Conflict` when another move has it."""
    with target.begin():
        got = target.scalar(select(func.pg_try_advisory_lock(lock_number(MOVE))))
    if not got:
        raise Conflict("another move into this database is running", code="running")


def _move_id(source: Connection) -> str:
    """The id of the move out of this database, made at the first try."""
    with source.begin():
        adding = sqlite.insert(facts).values(name=MOVE, value=uuid4().hex)
        source.execute(adding.on_conflict_do_nothing())
        return str(source.scalar(select(facts.c.value).where(facts.c.name == MOVE)))


def _begin(target: Connection, move_id: str) -> bool:
    """Whether the move is done already. Raises `Conflict` when the target holds anything else."""
    with target.begin():
        mark = target.scalar(select(facts.c.value).where(facts.c.name == MOVE))
        if mark is None:
            if any(target.scalar(select(literal(1)).select_from(table).limit(1)) for table in MOVED):
                raise _foreign("it holds data of its own")
            target.execute(facts.insert().values(name=MOVE, value=move_id))
            return False
    owner, _, state = str(mark).partition(" ")
    if owner != move_id:
        raise _foreign("another Postroom was moved into it")
    return state == "done"


def _foreign(why: str) -> Conflict:
    return Conflict(
        f"the database cannot be moved into: {why}", code="foreign_data", hint="Give --to an empty database."
    )


def _remember(target: Connection, value: str) -> None:
    target.execute(facts.update().where(facts.c.name == MOVE).values(value=value))


def _leave(source: Connection) -> None:
    """Who serves from the source again finds a database that the world went on without."""
    with source.begin():
        source.execute(sqlite.insert(facts).values(name=RESTORED, value="").on_conflict_do_nothing())


# --- copying --------------------------------------------------------------------------------------


def _copy(source: Connection, target: Connection, counts: Mapping[str, int], tell: Tell) -> None:
    done, total = 0, sum(counts.values())
    for table in MOVED:
        with target.begin():
            last = _highest(target, table)
        done += counts[table.name] - _remaining(source, table, last)
        adding = postgresql.insert(table).on_conflict_do_nothing()
        for rows in _pages(source, table, last):
            with target.begin():
                target.execute(adding, rows)
            done += len(rows)
            tell(MoveProgress("copying", table.name, done, total))


def _highest(connection: Connection, table: Table) -> tuple[Any, ...] | None:
    """The highest key that is there."""
    keys = list(table.primary_key.columns)
    found = connection.execute(
        _ours(select(*keys), table).order_by(*(key.desc() for key in keys)).limit(1)
    ).first()
    return None if found is None else tuple(found)


def _remaining(connection: Connection, table: Table, last: tuple[Any, ...] | None) -> int:
    counting = _ours(select(func.count()).select_from(table), table)
    return int(connection.scalar(_above(counting, table, last)) or 0)


def _pages(
    connection: Connection, table: Table, last: tuple[Any, ...] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Rows above a key in the order of their keys, a bounded number at a time."""
    keys = list(table.primary_key.columns)
    limit = ROWS_WITH_TEXT if table is messages else ROWS
    everything = _ours(select(*table.c), table).order_by(*keys).limit(limit)
    while True:
        found = connection.execute(_above(everything, table, last)).mappings().all()
        if not found:
            return
        yield [dict(row) for row in found]
        last = tuple(found[-1][key.name] for key in keys)


def _above(statement: Any, table: Table, last: tuple[Any, ...] | None) -> Any:
    if last is None:
        return statement
    keys = list(table.primary_key.columns)
    values = [literal(value, key.type) for key, value in zip(keys, last, strict=True)]
    return statement.where(tuple_(*keys) > tuple_(*values))


def _ours(statement: Any, table: Table) -> Any:
    """Without what only tells of the move itself."""
    return statement.where(facts.c.name != MOVE) if table is facts else statement


def _counts(source: Connection) -> dict[str, int]:
    return {table.name: _remaining(source, table, None) for table in MOVED}


def _continue_numbers(source: Connection, target: Connection) -> None:
    """Numbers that the database gives go on after the last one that the source ever gave."""
    given = {row.name: row.seq for row in source.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    with target.begin():
        for table in MOVED:
            column = table.autoincrement_column
            if column is None or table.name not in given or column.autoincrement is not True:
                continue
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            target.execute(select(func.setval(sequence, max(given[table.name], 1))))


# --- comparing ------------------------------------------------------------------------------------


def _compare(source: Connection, target: Connection, counts: Mapping[str, int], tell: Tell) -> None:
    """Raises `Differs` with the names of the tables that are not the same."""
    total = sum(counts.values())
    done = 0
    differing: list[str] = []
    for table in MOVED:
        here, there = _Fingerprint(), _Fingerprint()
        for rows in _pages(source, table):
            here.add(rows)
            done += len(rows)
            tell(MoveProgress("comparing", table.name, done, total))
        with target.begin():
            for rows in _pages(target, table):
                there.add(rows)
        if here != there:
            differing.append(f"{table.name} ({here.rows} rows, {there.rows} at the target)")
    if differing:
        raise Differs(
            f"not the same after copying: {', '.join(differing)}",
            hint="Nothing was changed here. Move into another, empty database.",
        )


@dataclass
class _Fingerprint:
    """How many rows there are, and a sum of their digests, in whatever order they come."""

    rows: int = 0
    digests: int = 0

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take some more rows in."""
        self.rows += len(rows)
        self.digests = (self.digests + sum(map(_digest, rows))) % _MODULUS


def _digest(row: Mapping[str, Any]) -> int:
    """Of the values, not of how a database writes them: JSON in another order, 1.0 for 1."""
    plain = {name: _plain(value) for name, value in row.items()}
    return int.from_bytes(sha256(json.dumps(plain, sort_keys=True).encode()).digest())


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value
