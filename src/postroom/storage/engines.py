"""Opens the engines: what each database must be told before it is fit for us."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from postroom.core.errors import Move, PostroomError
from postroom.core.ports import Steps
from postroom.storage.database import Database, Lane
from postroom.storage.dialect import DIALECTS

_READERS = 4
_CONNECTIONS = 10
_BUSY_MS = 10_000
_LIMITS = "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000"
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


def open_database(url: URL, steps: Steps) -> Database:
    """Engines, threads and connections for serving; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        writer = Lane(_sqlite(url, width=1, writes=True), 1, "writer")
        reader = Lane(_sqlite(url, width=_READERS, writes=False), _READERS, "reader")
        return Database(DIALECTS["sqlite"], writer, reader, steps)
    options = {"pool_size": _CONNECTIONS, "max_overflow": 0}
    lane = Lane(_postgresql(url, _LIMITS, options), _CONNECTIONS, "database")
    return Database(DIALECTS["postgresql"], lane, lane, steps)


def single_engine(url: URL) -> Engine:
    """An engine for migrations: one connection at a time, no time limits on statements."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, width=1, writes=True)
    return _postgresql(url, "", {"poolclass": NullPool})


def _sqlite(url: URL, *, width: int, writes: bool) -> Engine:
    engine = create_engine(
        url,
        pool_size=width,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": _BUSY_MS / 1000},
    )
    event.listen(engine, "connect", _set_up_writer if writes else _set_up_reader)
    if writes:
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _set_up_writer(connection: Any, record: object) -> None:
    del record
    # FULL: a power cut must not take back what was accepted. WAL: readers do not wait for the writer.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _set_up_reader(connection: Any, record: object) -> None:
    del record
    connection.execute("PRAGMA query_only=ON")


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql(url: URL, limits: str, options: Mapping[str, Any]) -> Engine:
    arguments = {name: value for name, value in _KEEPALIVES.items() if name not in url.query}
    if limits and "options" not in url.query:
        arguments["options"] = limits
    try:
        return create_engine(url, hide_parameters=True, connect_args=arguments, **options)
    except ImportError as exc:
        raise DatabaseUrlError(
            "PostgreSQL needs its driver", hint="install it: pip install 'postroom[postgres]'"
        ) from exc
