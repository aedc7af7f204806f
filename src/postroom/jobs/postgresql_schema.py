"""The tables of procrastinate: installed and upgraded by `postroom migrate`, which remembers what ran.

procrastinate gives a schema for a new database and a script for each change since, and leaves it to its user
to know which of them a database has had.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from procrastinate.schema import SchemaManager

from postroom.core.errors import Move, PostroomError

_LOCK = 0x706F7374726F6F6D  # "postroom" in ASCII: two that migrate at once wait for each other
_MEMORY = """
CREATE TABLE IF NOT EXISTS bell_migrations (
    name text PRIMARY KEY, ran_at timestamptz NOT NULL DEFAULT now()
)
"""


class BellSchemaError(PostroomError):
    """The database lacks what carries the bells."""

    code = "schema_behind"
    temporary = False
    move = Move.OURS


async def migrate_bells(url: str) -> None:
    """Bring procrastinate's tables to the installed version. Nothing happens when they are there already.

    Raises `PostroomError`.
    """
    await asyncio.to_thread(_migrate, url)


async def check_bells(url: str) -> None:
    """Raise `PostroomError` (code `schema_behind`) unless all of its scripts have run."""
    await asyncio.to_thread(_check, url)


def scripts() -> dict[str, str]:
    """procrastinate's changes by name, in the order in which they are to run."""
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def _migrate(url: str) -> None:
    with _connected(url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        connection.execute(_MEMORY)
        ran = _ran(connection)
        if ran:
            _upgrade(connection, ran)
        else:
            _install(connection)


def _install(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute(SchemaManager.get_schema())
        _remember(connection, list(scripts()))


def _upgrade(connection: psycopg.Connection, ran: set[str]) -> None:
    for name, script in scripts().items():
        if name not in ran:
            # A transaction each: what one adds to a type, the next may use only once it is committed.
            with connection.transaction():
                connection.execute(script.encode())
                _remember(connection, [name])


def _check(url: str) -> None:
    with _connected(url) as connection:
        row = connection.execute("SELECT to_regclass('bell_migrations')").fetchone()
        missing = set(scripts()) - (_ran(connection) if row and row[0] else set())
    if missing:
        raise BellSchemaError("the database is not up to date: run postroom migrate")


def _ran(connection: psycopg.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM bell_migrations")}


def _remember(connection: psycopg.Connection, names: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO bell_migrations (name) VALUES (%s)", [[name] for name in names])


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.Error:
        # Without its cause: the driver's text may hold the address and the user of the database.
        raise PostroomError("the database cannot be used for bells", code="database_unavailable") from None
