"""Opens the engines: what each database must be told before it is fit for us."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from postroom.core.errors import Move, PostroomError
from postroom.core.ports import Steps
from postroom.storage.database import Database, Each, Lane
from postroom.storage.dialect import PostgreSQL, SQLite
from postroom.storage.faults import translated
from postroom.storage.grouped import Grouped
from postroom.storage.pool import Pool

_READERS = 4
_CONNECTIONS = 10
_BUSY_SECONDS = 10
_WRITER = (
    "journal_mode=WAL",  # readers do not wait for the writer
    "synchronous=FULL",  # a power cut must not take back what was accepted
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-16384",  # KiB
    "wal_autocheckpoint=4000",  # pages: what changes often goes to the database file less often
)
# Who is stopped in the middle of a transaction must not keep others from its rows for longer than its leases
# last: ten seconds.
_LIMITS = "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=10000"
_KEEPALIVES = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class DatabaseUrlError(PostroomError):
    """The address of the database cannot be used."""

    code = "database_url"
    temporary = False
    move = Move.CALLER


def parse_url(text: str) -> URL:
    """`sqlite:///file` or `postgresql://…`, with the driver we use. Raises `DatabaseUrlError`."""
    try:
        url = make_url(text)
    except ArgumentError:
        # Without its cause: the text may hold a password.
        raise DatabaseUrlError("the database URL cannot be read") from None
    kind = url.drivername.partition("+")[0]
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise DatabaseUrlError("the database URL must be sqlite:///FILE or postgresql://…")


def libpq_url(text: str) -> str:
    """The same database as libpq reads it. Holds the password. Raises `DatabaseUrlError`."""
    return parse_url(text).set(drivername="postgresql").render_as_string(hide_password=False)


def open_database(url: URL, steps: Steps) -> Database:
    """Connections and threads for serving; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        sqlite = SQLite()
        writer, reader = _sqlite(url, 1, _set_up_writer), _sqlite(url, _READERS, _set_up_reader)
        writing = Lane(Pool(writer, sqlite.begin), 1, "writer", within=True)
        reading = Lane(Pool(reader, sqlite.begin), _READERS, "reader")
        return Database(sqlite, writing, reading, Grouped(writing, steps), steps)
    dialect = PostgreSQL()
    engine = _postgresql(url, _LIMITS, autocommit=True, pool_size=_CONNECTIONS, max_overflow=0)
    lane = Lane(Pool(engine, dialect.begin), _CONNECTIONS, "database")
    return Database(dialect, lane, lane, Each(lane, steps), steps)


def single_engine(url: URL) -> Engine:
    """An engine for migrations: one connection at a time, no time limits on statements."""
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url, 1, _set_up_writer)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(SQLite.begin))
        return engine
    return _postgresql(url, "", poolclass=NullPool)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection of such an engine. Raises `DatabaseUrlError`, and the database's faults as our own."""
    engine = single_engine(parse_url(url))
    try:
        with translated(), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _sqlite(url: URL, width: int, set_up: Any) -> Engine:
    arguments = {"isolation_level": None, "check_same_thread": False, "timeout": _BUSY_SECONDS}
    engine = create_engine(
        url,
        paramstyle="named",
        hide_parameters=True,
        pool_size=width,
        max_overflow=0,
        connect_args=arguments,
    )
    event.listen(engine, "connect", set_up)
    return engine


def _set_up_writer(connection: Any, record: object) -> None:
    del record
    for pragma in _WRITER:
        connection.execute(f"PRAGMA {pragma}")


def _set_up_reader(connection: Any, record: object) -> None:
    del record
    connection.execute("PRAGMA query_only=ON")


def _postgresql(url: URL, limits: str, *, autocommit: bool = False, **options: Any) -> Engine:
    arguments: dict[str, Any] = {name: value for name, value in _KEEPALIVES.items() if name not in url.query}
    if limits and "options" not in url.query:
        arguments["options"] = limits
    if autocommit:
        arguments["autocommit"] = True
    try:
        return create_engine(
            url, hide_parameters=True, use_native_hstore=False, connect_args=arguments, **options
        )
    except ImportError as exc:
        raise DatabaseUrlError(
            "PostgreSQL needs its driver", hint="install it: pip install 'postroom[postgres]'"
        ) from exc
