"""One, two and four workers on PostgreSQL: how fast waiting mails of several accounts are answered.

`python -m bench.scale [mails an account] [--accounts N]`. A machine of two cores, which mail servers,
database and bench share with the workers, shows what sharing costs and how even it is, not how much more
machines would bring. The database syncs as in production.
"""

import argparse
import asyncio
import base64
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

from bench.figures import Figure, report
from bench.rig import connect, discarding_world, run
from bench.waiting import fill, floor_rate, rate
from tests.support.commands import postroom
from tests.support.databases import start_cluster, stop_cluster
from tests.support.processes import started
from tests.support.served import Served, eventually, start, start_worker
from tests.support.world import World

WORKERS = (1, 2, 4)


async def bench(mails: int, accounts: int) -> None:
    """Measure and report."""
    figures = []
    with ExitStack() as stack:
        world = stack.enter_context(discarding_world())
        variables = stack.enter_context(_database(world))
        floor = await floor_rate(world, "bare@bench.test", mails * accounts)
        for number in WORKERS:
            print(f"{number} of {WORKERS} workers", flush=True)
            figures += await _with_workers(world, variables, number, mails, accounts, floor)
    report("scale", _setting(mails, accounts), figures)


@contextmanager
def _database(world: World) -> Iterator[dict[str, str]]:
    cluster = start_cluster(fsync="on", synchronous_commit="on", full_page_writes="on")
    try:
        yield {
            "POSTROOM_DATABASE_URL": cluster.empty(),
            "POSTROOM_SECRET_KEY": base64.b64encode(b"b" * 32).decode(),
            "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
            "POSTROOM_TLS_CA_FILE": str(world.ca_file),
            "POSTROOM_AGENT": "python:bench.agent:reply",
        }
    finally:
        stop_cluster(cluster)


async def _with_workers(
    world: World, variables: dict[str, str], number: int, mails: int, accounts: int, floor: float
) -> list[Figure]:
    addresses = [f"scale{number}-{each}@bench.test" for each in range(accounts)]
    for address in addresses:
        await asyncio.to_thread(fill, world, address, mails)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        api = await asyncio.to_thread(_start, stack, folder, variables, number)
        begin = asyncio.to_thread(_connect_all, api, world, addresses)
        answered = await rate(world, mails * accounts, lambda: begin)
        held = await asyncio.to_thread(_held, api)
        await asyncio.to_thread(_forget, api, addresses)
    spread = max(held) - min(held)
    return [
        Figure(f"replies accepted, {number} workers", "/s", answered, floor),
        Figure(f"accounts: most less fewest, {number} workers", "", spread, 0.0),
    ]


def _start(stack: ExitStack, folder: Path, variables: dict[str, str], number: int) -> Served:
    done = postroom(folder, "migrate", variables=variables)
    if done.returncode:
        raise RuntimeError(done.stderr)
    for _ in range(number):
        stack.callback(start_worker(folder, variables, launch=started).stop)
    api = start(folder, variables, command="api", launch=started)
    stack.callback(api.stop)
    with api.client() as client:
        eventually(lambda: len(_workers(client)) == number)
    return api


def _connect_all(api: Served, world: World, addresses: Sequence[str]) -> None:
    with api.client() as client:
        for address in addresses:
            site = address.partition("@")[0]
            settings = {"start": "unseen"}
            client.patch(f"/api/sites/{site}/settings", json=settings).raise_for_status()
            connect(client, site, address, world.imaps, world.smtps)


def _forget(api: Served, addresses: Sequence[str]) -> None:
    with api.client() as client:
        for address in addresses:
            client.delete(f"/api/sites/{address.partition('@')[0]}").raise_for_status()


def _held(api: Served) -> list[int]:
    with api.client() as client:
        return [worker["accounts"] for worker in _workers(client)]


def _workers(client: httpx2.Client) -> list[dict[str, int]]:
    items: list[dict[str, int]] = client.get("/api/workers").json()["items"]
    return [item for item in items if item["state"] == "live"]


def _setting(mails: int, accounts: int) -> dict[str, str | int | float]:
    return {
        "accounts": accounts,
        "mails, correspondents an account": mails,
        "database": "PostgreSQL, synced",
        "sink": "Postfix, discarding",
        "floor": "one bare loop, nothing stored",
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mails", type=int, nargs="?", default=100)
    parser.add_argument("--accounts", type=int, default=12)
    given = parser.parse_args()
    run(lambda: bench(given.mails, given.accounts))


if __name__ == "__main__":
    main()
