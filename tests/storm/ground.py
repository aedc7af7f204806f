"""What a storm rages over: a PostgreSQL, real mail servers, accounts, and a folder for blobs and logs."""

import asyncio
import base64
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from postroom.config import load
from postroom.service import opened
from tests.support.commands import postroom
from tests.support.databases import Cluster, start_cluster, stop_cluster
from tests.support.world import PASSWORD, World, running_world

# What was committed is to survive a crash of the database: the storm has one.
DURABLE = {"synchronous_commit": "on", "full_page_writes": "on"}
NO_CAPS = {
    "threadPer10Min": None,
    "threadPer2Hours": None,
    "correspondentPerDay": None,
    "newSendersPerHour": None,
}


@dataclass(frozen=True, slots=True)
class Ground:
    """`variables`: the environment of every worker. `accounts`: their addresses."""

    cluster: Cluster
    database: str
    world: World
    folder: Path
    variables: Mapping[str, str]
    accounts: tuple[str, ...]


@contextmanager
def ground(accounts: int) -> Iterator[Ground]:
    """Everything running and configured, for the time of the block. Raises `NoWorld`, `NoPostgreSQL`."""
    folder = Path(tempfile.mkdtemp(prefix="storm-", dir="/tmp"))
    cluster = start_cluster(**DURABLE)
    try:
        with running_world() as world:
            database = cluster.empty()
            addresses = tuple(f"agent{n}@postroom.test" for n in range(accounts))
            variables = _variables(folder, database, world)
            made = Ground(cluster, database, world, folder, variables, addresses)
            migrated = postroom(folder, "migrate", variables=variables)
            assert migrated.returncode == 0, migrated.stderr
            asyncio.run(_configure(made))
            yield made
    finally:
        stop_cluster(cluster)
        shutil.rmtree(folder, ignore_errors=True)


def _variables(folder: Path, database: str, world: World) -> dict[str, str]:
    return {
        "POSTROOM_DATABASE_URL": database,
        "POSTROOM_BLOBS_URL": (folder / "blobs").as_uri(),
        "POSTROOM_DATA_DIR": str(folder / "setup"),
        "POSTROOM_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
        "POSTROOM_AGENT": "python:tests.storm.agent:reply",
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(world.ca_file),
        "POSTROOM_LOG_FORMAT": "json",
        "POSTROOM_PORT": "0",
    }


async def _configure(made: Ground) -> None:
    (made.folder / "blobs").mkdir()
    async with opened(load(made.variables, made.folder)) as service:
        for number, address in enumerate(made.accounts):
            made.world.deliver(address, b"Subject: before\r\n\r\nHistory.\r\n")
            site, settings = f"site{number}", _settings(made.world, address)
            await service.accounts.patch(site, settings, may_create=True)
            await service.accounts.seal(site, "email", address, PASSWORD, store=True, may_create=False)
    # Servers date mail to the second: what comes within the second of the configuration is history.
    await asyncio.sleep(1.1)


def _settings(world: World, address: str) -> dict[str, object]:
    channel = {
        "email": address,
        "incomingServer": "localhost",
        "incomingPort": world.imaps,
        "incomingSecurity": "tls",
        "outgoingServer": "localhost",
        "outgoingPort": world.submission,
        "outgoingSecurity": "starttls",
    }
    return {"channels": {"email": channel}, "caps": NO_CAPS}
