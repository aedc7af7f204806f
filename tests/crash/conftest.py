"""Mail servers that outlive the services, and a database of each kind for every life."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postroom.jobs.postgresql_schema import migrate_bells
from postroom.sandbox.server import Sandbox, sandbox
from tests.support.databases import Cluster, postgresql, sqlite_template
from tests.support.in_thread import running

__all__ = ["postgresql", "sqlite_template"]

MakeDatabase = Callable[[Path], str]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(sandbox(tmp_path_factory.mktemp("sandbox"))) as there:
        yield there


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Cluster) -> str:
    """A database with our tables and those of the bells, to be copied."""
    url = postgresql.migrated()
    asyncio.run(migrate_bells(url))
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def make_database(request: pytest.FixtureRequest, sqlite_template: Path) -> MakeDatabase:
    """Gives a folder's service a fresh database with our tables; returns its address."""
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgresql")
        template: str = request.getfixturevalue("postgresql_template")
        return lambda folder: cluster.copy_of(template)

    def copied(folder: Path) -> str:
        file = folder / "data" / "postroom.db"
        file.parent.mkdir(mode=0o700)
        shutil.copyfile(sqlite_template, file)
        return f"sqlite:///{file}"

    return copied
