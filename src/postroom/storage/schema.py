"""Brings a database to the schema of this program, and tells whether it is there."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, inspect, select, text

from postroom.core.errors import Move, PostroomError
from postroom.storage.dialect import lock_number
from postroom.storage.engines import connected

if TYPE_CHECKING:
    from alembic.config import Config

_SCRIPTS = Path(__file__).parent / "migrations"


class SchemaError(PostroomError):
    """The database has another schema than this program."""

    temporary = False
    move = Move.OURS


async def migrate(url: str, revision: str = "head") -> None:
    """Bring the database to this schema; nothing happens when it has it already.

    Two that start at once wait for each other. A file of SQLite is made when there is none. Raises
    `PostroomError`. `revision`: another state of the schema; "base" takes everything away.
    """
    await asyncio.to_thread(_migrate, url, revision)


async def check_schema(url: str) -> None:
    """Raise `PostroomError` unless the database has this program's schema.

    Codes: `schema_behind` (the text says what to run), `schema_ahead` (a newer program was here).
    """
    await asyncio.to_thread(_check, url)


def _migrate(url: str, revision: str) -> None:
    with connected(url) as connection:
        if connection.dialect.name == "postgresql":
            # SQLite's transaction has excluded others from its beginning.
            connection.execute(select(func.pg_advisory_xact_lock(lock_number("migrate"))))
        if revision == "head" and _current(connection) == _revisions()[-1]:
            return
        # Heavy, and nearly every start finds the schema as it should be.
        from alembic import command

        config = _config()
        config.attributes["connection"] = connection
        if revision == "base":
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)
        connection.commit()


def _check(url: str) -> None:
    with connected(url) as connection:
        current = _current(connection)
    *earlier, newest = _revisions()
    if current == newest:
        return
    if current is None or current in earlier:
        raise SchemaError("the database is not up to date: run postroom migrate", code="schema_behind")
    raise SchemaError("the database was made by a newer Postroom: install that version", code="schema_ahead")


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _revisions() -> list[str]:
    """Every state of the schema, the newest last: a migration's file is called by its revision."""
    return sorted(path.name.partition("_")[0] for path in (_SCRIPTS / "versions").glob("[0-9]*.py"))


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
