"""Every statement of storage runs on indexes: what it costs does not grow with what is stored."""

import gc
import re
from typing import Any

import pytest
from sqlalchemy import Connection, Insert, text

from postroom.core.store import Store
from postroom.storage.engines import parse_url, single_engine
from postroom.storage.statements import Statement

GROWING = (
    "messages|submissions|events|threads|places|parties|contacts|answered|turns|attachments|idempotency|keys"
)
# These indexes hold nothing but work to be done: reading all of one is what is wanted.
WORK_ONLY = ("ix_submissions_transmitting", "ix_messages_due", "ix_submissions_queued")
# Reports over everything, lists that are short or asked for rarely, and what goes with a site.
WHOLE_BY_DESIGN = (r"GROUP BY", r"FROM keys ORDER BY", r"DELETE FROM idempotency WHERE substr")
# What tells a few rows among all of a site: whoever asks for one must be served by its index.
TELLING = ("message_key", "content_key", "thread_id", "address", "raw", "key_hash")

FILTERS: list[tuple[str, list[dict[str, Any]]]] = [
    ("threads", [{}, {"paused": True}]),
    (
        "messages",
        [
            {},
            {"state": "due"},
            {"thread_id": "thr_1"},
            {"thread_id": "thr_1", "direction": "in"},
            {"message_id": "x@y"},
        ],
    ),
    ("submissions", [{}, {"status": "sent"}, {"message_id": "x@y"}, {"thread_id": "thr_1"}]),
    ("events", [{}, {"thread_id": "thr_1"}]),
]


async def _statements(store: Store) -> list[Statement]:
    """All that exist, after every list was asked for once."""
    for name, filters in FILTERS:
        listing = getattr(store.lists, name)
        for some in filters:
            first = await listing("acme", some, None, 1)
            assert first.items == ()
    await store.tokens.list("acme", None, 1)
    return [found for found in gc.get_objects() if type(found) is Statement]


def _plans(connection: Connection, statements: list[Statement]) -> dict[str, list[str]]:
    """How the database would go about each; what only inserts looks for nothing."""
    plans: dict[str, list[str]] = {}
    for statement in statements:
        if isinstance(statement.core, Insert):
            continue
        sql = statement.compiled(connection.dialect).sql
        if "advisory_xact_lock" not in sql:
            plans[sql] = _plan(connection, sql)
    return plans


def _plan(connection: Connection, sql: str) -> list[str]:
    if connection.dialect.name == "sqlite":
        nothing = dict.fromkeys(re.findall(r":(\w+)", sql))
        return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", nothing)]
    return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", _made_up(sql))]


def _made_up(sql: str) -> dict[str, Any]:
    """A value of its type for every parameter."""
    values: dict[str, Any] = {}
    for name, kind in re.findall(r"%\((\w+)\)s(?:::(\w+(?:\[\])?))?", sql):
        by_kind = {"VARCHAR": "x", "TEXT[]": ["x"], "JSONB": "[]", "BOOLEAN": True}
        values[name] = (
            True if name in ("b_again", "environment", "paused") else by_kind.get(kind, values.get(name, 1))
        )
    return values


def _reads_all(plan: list[str]) -> bool:
    lines = (line for line in plan if not any(name in line for name in WORK_ONLY))
    return any(re.search(rf"(SCAN|Seq Scan on) ({GROWING})\b", line) for line in lines)


def _asked_for(sql: str) -> list[str]:
    """The telling columns that the statement compares with a value of its own."""
    where = sql.partition("WHERE")[2]
    return [name for name in TELLING if re.search(rf'\.{name}"? (= [:%]|IN \(SELECT (value|unnest))', where)]


async def test_no_statement_reads_a_whole_table_that_grows(acme: Store, database_url: str) -> None:
    statements = await _statements(acme)
    assert len(statements) > 100
    engine = single_engine(parse_url(database_url))
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # Small tables are read whole by choice; with this off, only when there is no other way.
            connection.execute(text("SET enable_seqscan = off"))
        plans = _plans(connection, statements)
    engine.dispose()
    odd = {sql: plan for sql, plan in plans.items() if _reads_all(plan)}
    assert {s: p for s, p in odd.items() if not any(re.search(d, s) for d in WHOLE_BY_DESIGN)} == {}


async def test_what_tells_few_rows_from_many_is_looked_up_by_it(acme: Store, database_url: str) -> None:
    if database_url.startswith("postgresql"):
        pytest.skip("PostgreSQL chooses by statistics, which an empty database has not")
    statements = await _statements(acme)
    engine = single_engine(parse_url(database_url))
    with engine.connect() as connection:
        plans = _plans(connection, statements)
    engine.dispose()
    for sql, plan in plans.items():
        asked = _asked_for(sql)
        assert not asked or any(f"{name}=?" in line for name in asked for line in plan), (sql, plan)


async def test_the_check_sees_a_table_that_is_read_whole(acme: Store, database_url: str) -> None:
    engine = single_engine(parse_url(database_url))
    with engine.connect() as connection:
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        rows = connection.exec_driver_sql(f"{explain} SELECT count(*) FROM messages WHERE subject = 'x'")
        assert _reads_all([row[-1] for row in rows])
    engine.dispose()
