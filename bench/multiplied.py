"""Rows of an embedded database, multiplied: a large installation in minutes.

A copy gets names of its own wherever a column names a row, a person or a mail, and moments a little earlier.
"""

import sqlite3
from pathlib import Path

from sqlalchemy import Table

from postroom.datadir import DATABASE_FILE
from postroom.storage import tables
from postroom.storage.types import Moment

_CACHE_KIB = 1_000_000
_SECOND = 1_000_000
_MESSAGE_TABLES = (
    *(tables.threads, tables.messages, tables.attachments, tables.places, tables.parties, tables.contacts),
    *(tables.turns, tables.submissions, tables.answered, tables.replied, tables.events),
)
_SITE_TABLES = (tables.sites, tables.addresses, tables.tokens)
_NAMES = frozenset(
    {"id", "thread_id", "message_id", "submission_id", "turn_id", "answers", "answered_by", "lease_message"}
    | {"thread_key", "message_key", "content_key", "raw", "address", "token_hash"}
)
_SITE_NAMES = frozenset({"id", "site_id", "address"})


def multiply_messages(data: Path, wanted: int) -> int:
    """Copy everything that belongs to messages until about so many are stored; how many there are then."""
    with _opened(data) as database:
        present = int(database.execute("SELECT count(*) FROM messages").fetchone()[0])
        for table in _MESSAGE_TABLES:
            _multiply(database, table, wanted // present - 1, _NAMES)
        return int(database.execute("SELECT count(*) FROM messages").fetchone()[0])


def multiply_sites(data: Path, wanted: int) -> None:
    """Copy sites, with their addresses and secrets, until there are so many."""
    with _opened(data) as database:
        present = int(database.execute("SELECT count(*) FROM sites").fetchone()[0])
        for table in _SITE_TABLES:
            _multiply(database, table, wanted // present - 1, _SITE_NAMES)


def _opened(data: Path) -> sqlite3.Connection:
    database = sqlite3.connect(data / DATABASE_FILE, isolation_level="IMMEDIATE")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return database


def _multiply(database: sqlite3.Connection, table: Table, copies: int, names: frozenset[str]) -> None:
    columns = [column for column in table.columns if column.name != "seq"]
    values = ", ".join(_value(column.name, isinstance(column.type, Moment), names) for column in columns)
    listed = ", ".join(f'"{column.name}"' for column in columns)
    database.execute(
        "WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < ?)"
        f' INSERT INTO "{table.name}" ({listed}) SELECT {values} FROM copy CROSS JOIN "{table.name}"',
        (copies,),
    )
    database.commit()


def _value(column: str, is_moment: bool, names: frozenset[str]) -> str:
    if column in names:
        return f"\"{column}\" || '.' || n"
    if column == "uid":
        return "uid + 1000000 * n"
    return f'"{column}" - {_SECOND} * n' if is_moment else f'"{column}"'
