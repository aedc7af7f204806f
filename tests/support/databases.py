"""Databases for tests: a fresh SQLite file, and a fresh database in a private PostgreSQL cluster.

The cluster runs for the test session in a directory of its own, listens on a Unix socket only and never
syncs. It dies with the test process. Import the fixtures into a `conftest.py`:

    from tests.support.databases import database_url, postgresql  # noqa: F401 - fixtures
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

from postroom.storage import migrate

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
}


class NoPostgreSQL(Exception):
    """Why there is no cluster."""


@dataclass
class Cluster:
    """A running PostgreSQL. `url(name)` is the address of one of its databases."""

    directory: Path
    process: subprocess.Popen[bytes]
    settings: Mapping[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    _template: str = ""

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql://postgres@/{name}?host={self.directory}"

    def empty(self) -> str:
        """The address of a new database without tables."""
        return self.url(self._create("template0"))

    def migrated(self) -> str:
        """The address of a new database with our tables."""
        if not self._template:
            name = self._create("template0")
            asyncio.run(migrate(self.url(name)))
            self._template = name
        return self.url(self._create(self._template))

    def copy_of(self, url: str) -> str:
        """The address of a new database with all that another has, to which nobody may be connected."""
        return self.url(self._create(str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])))

    def run(self, statement: str) -> None:
        """Execute one statement as the superuser, outside any transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def restart(self, how: signal.Signals) -> None:
        """Stop it, with SIGINT in order or with SIGQUIT as a crash would, and start it again on its files."""
        self.process.send_signal(how)
        self.process.wait(60)
        self.process = _launched(self.directory, self.settings)
        _until_ready(self)

    def _create(self, template: str) -> str:
        name = f"test{next(self.numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name


def start_cluster(**settings: str) -> Cluster:
    """Make and start a cluster, `settings` over our own. Raises `NoPostgreSQL` when this machine has none."""
    binaries = _binaries()
    directory = Path(tempfile.mkdtemp(prefix="postroom-pg-", dir="/tmp"))
    runner = _as_owner(directory)
    data = directory / "data"
    options = ["-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    made = subprocess.run([*runner, str(binaries / "initdb"), *options], capture_output=True, check=False)
    if made.returncode:
        shutil.rmtree(directory, ignore_errors=True)
        raise NoPostgreSQL("initdb failed")
    all_settings = {**_SETTINGS, "unix_socket_directories": str(directory), **settings}
    cluster = Cluster(directory, _launched(directory, all_settings), all_settings)
    _until_ready(cluster)
    return cluster


def _launched(directory: Path, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [*_as_owner(directory), str(_binaries() / "postgres"), "-D", str(directory / "data")]
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (directory / "log").open("ab") as log:
        return subprocess.Popen([*command, *arguments], stdout=log, stderr=log)


def stop_cluster(cluster: Cluster) -> None:
    """Stop it and remove its directory."""
    cluster.process.terminate()
    with suppress(subprocess.TimeoutExpired):
        cluster.process.wait(5)
    if cluster.process.poll() is None:
        cluster.process.kill()
        cluster.process.wait()
    subprocess.run(["rm", "-rf", cluster.directory], check=False)  # of a hundred thousand files


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    if not _BINARIES:
        raise NoPostgreSQL("initdb was not found")
    return _BINARIES[0]


def _as_owner(directory: Path) -> list[str]:
    """How to run a program as a user that PostgreSQL accepts, ending with this process."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NoPostgreSQL("setpriv was not found")
    if os.geteuid() != 0:
        return [setpriv, "--pdeathsig", "INT"]
    try:
        owner = pwd.getpwnam("postgres")
    except KeyError:
        raise NoPostgreSQL("root needs a user called postgres to run it") from None
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    ids = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    return [setpriv, *ids, "--pdeathsig", "INT"]


def _until_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            cluster.run("SELECT 1")
        except psycopg.OperationalError:
            if cluster.process.poll() is not None or time.monotonic() > deadline:
                stop_cluster(cluster)
                raise NoPostgreSQL("postgres did not start") from None
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """The session's cluster; skips where there is no PostgreSQL."""
    try:
        cluster = start_cluster()
    except NoPostgreSQL as exc:
        pytest.skip(f"no PostgreSQL here: {exc}")
    yield cluster
    stop_cluster(cluster)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with our tables, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> str:
    """A fresh database with our tables, of each kind in turn."""
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgresql")
        return cluster.migrated()
    path = tmp_path / "postroom.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database without tables, of each kind in turn."""
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgresql")
        return cluster.empty()
    return f"sqlite:///{tmp_path / 'postroom.db'}"
