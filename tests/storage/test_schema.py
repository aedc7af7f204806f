"""Migrations: the same schema as the program's, forth and back, once however many start."""

import asyncio
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex

from postroom.core.errors import PostroomError
from postroom.storage import check_schema, migrate, open_store
from postroom.storage.engines import parse_url, single_engine
from postroom.storage.tables import metadata
from tests.support.stored import Recorder, site

ROOT = Path(__file__).parents[2]


def _compared(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _described(connection: Connection) -> dict[str, object]:
    """Tables, columns, keys and indexes as the database itself tells them."""
    found: dict[str, object] = {}
    inspector = inspect(connection)
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        columns = inspector.get_columns(table)
        foreign = inspector.get_foreign_keys(table)
        found[table] = (
            [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in columns],
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted((k["constrained_columns"], k["referred_table"]) for k in foreign),
            sorted(u["column_names"] for u in inspector.get_unique_constraints(table)),
            sorted(_index(i) for i in inspector.get_indexes(table)),
        )
    return found


def _index(found: ReflectedIndex) -> tuple[str, str, str]:
    where = [str(v) for k, v in found.get("dialect_options", {}).items() if k.endswith("_where")]
    return str(found["name"]), str(found["column_names"]), str(where)


async def test_migrations_and_tables_agree(database_url: str) -> None:
    with single_engine(parse_url(database_url)).connect() as connection:
        assert _compared(connection) == []


async def test_migrations_make_what_the_tables_say_down_to_the_index(database_url: str) -> None:
    with single_engine(parse_url(database_url)).connect() as connection:
        made = _described(connection)
    await migrate(database_url, "base")
    with single_engine(parse_url(database_url)).connect() as connection:
        metadata.create_all(connection)
        assert made == _described(connection)


async def test_migrating_again_changes_nothing(database_url: str, steps: Recorder) -> None:
    async with open_store(database_url, steps) as store:
        await store.sites.save(site())
    await migrate(database_url)
    await check_schema(database_url)
    async with open_store(database_url, steps) as store:
        assert await store.sites.get("acme") == site()


async def test_migrations_go_back(database_url: str) -> None:
    await migrate(database_url, "base")
    with single_engine(parse_url(database_url)).connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    await migrate(database_url)
    await check_schema(database_url)


async def test_a_database_that_is_behind_is_not_opened(empty_database_url: str, steps: Recorder) -> None:
    with pytest.raises(PostroomError, match="run postroom migrate") as refused:
        await check_schema(empty_database_url)
    assert refused.value.code == "schema_behind"
    with pytest.raises(PostroomError, match="run postroom migrate"):
        async with open_store(empty_database_url, steps):
            pass


async def test_a_database_of_a_newer_program_is_left_alone(database_url: str) -> None:
    with single_engine(parse_url(database_url)).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(PostroomError) as refused:
        await check_schema(database_url)
    assert refused.value.code == "schema_ahead"


async def test_processes_that_start_at_once_migrate_once(empty_database_url: str) -> None:
    program = "import asyncio, sys; from postroom.storage import migrate; asyncio.run(migrate(sys.argv[1]))"
    starting = [
        asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            empty_database_url,
            stderr=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT / "src")},
        )
        for _ in range(3)
    ]
    processes = [await start for start in starting]
    for process in processes:
        _, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (0, "")
    await check_schema(empty_database_url)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "redis:secret"]
)
async def test_an_address_that_is_no_database_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(PostroomError) as refused:
        await migrate(url)
    assert refused.value.code == "database_url"
    assert "secret" not in str(refused.value)


async def test_a_file_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PostroomError) as refused:
        await migrate(f"sqlite:///{tmp_path}/missing/postroom.db")
    assert refused.value.code == "database_unavailable"
