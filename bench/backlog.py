"""A thousand waiting mails of a thousand correspondents: how fast each is answered and its reply accepted.

`python -m bench.backlog [mails] [--rounds N]`. Ours and the floor take turns on the same Dovecot and Postfix,
each time with a fresh mailbox that was full before they knew of it. The floor fetches all in one command and
replies to each on one kept connection, storing nothing. Postfix says in its log what it accepted.
"""

import argparse
import asyncio
import os
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Aim, Figure, report
from bench.rig import connect, discarding_world, run, running_service, until
from bench.waiting import PATIENCE, fill, floor_rate, rate
from tests.support.served import Served
from tests.support.world import World

SQLITE_SHARE, POSTGRESQL_SHARE = 0.40, 0.30


@dataclass(slots=True)
class Rates:
    """Replies accepted a second, per round; `cpu`: milliseconds of the service's CPU a mail, until the last
    was accepted; `settled`: mails a second until also its copy was in Sent."""

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)


async def bench(mails: int, rounds: int) -> None:
    """Measure and report."""
    rates = Rates()
    with ExitStack() as stack:
        world = stack.enter_context(discarding_world())
        service = await asyncio.to_thread(stack.enter_context, running_service(world.ca_file))
        for number in range(rounds):
            rates.floor.append(await floor_rate(world, f"bare{number}@bench.test", mails))
            await _ours(world, service, number, mails, rates)
    report("backlog", _setting(mails, rounds), _figures(rates))


async def _ours(world: World, service: Served, number: int, mails: int, rates: Rates) -> None:
    address = f"ours{number}@bench.test"
    await asyncio.to_thread(fill, world, address, mails)
    await asyncio.to_thread(_start_with_what_waits, service, number)
    used, begun = _cpu_seconds(service.process.pid), time.monotonic()
    rates.ours.append(
        await rate(world, mails, lambda: asyncio.to_thread(_connect, world, service, number, address))
    )
    rates.cpu.append(1000 * (_cpu_seconds(service.process.pid) - used) / mails)
    sent = world.root / "mail" / address / "Maildir" / ".Sent"
    await until(lambda: _files(sent) >= mails, PATIENCE, "the last copy in Sent")
    rates.settled.append(mails / (time.monotonic() - begun))


def _start_with_what_waits(service: Served, number: int) -> None:
    with service.client() as client:
        settings = {"start": "unseen"}
        client.patch(f"/api/sites/site{number}/settings", json=settings).raise_for_status()


def _connect(world: World, service: Served, number: int, address: str) -> None:
    with service.client() as client:
        connect(client, f"site{number}", address, world.imaps, world.smtps)


def _files(maildir: Path) -> int:
    folders = [maildir / name for name in ("cur", "new")]
    return sum(len(list(folder.iterdir())) for folder in folders if folder.is_dir())


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _figures(rates: Rates) -> list[Figure]:
    share = POSTGRESQL_SHARE if os.environ.get("BENCH_DATABASE_URL") else SQLITE_SHARE
    aim = Aim(f"≥ {share:.0%} of the floor", "at least of floor", share)
    ours, floor = statistics.median(rates.ours), statistics.median(rates.floor)
    return [
        Figure("replies accepted", "/s", ours, floor, aim),
        Figure("replies accepted and copied to Sent", "/s", statistics.median(rates.settled), floor),
        Figure("CPU of the service a reply", "ms", statistics.median(rates.cpu), 0.0),
    ]


def _setting(mails: int, rounds: int) -> dict[str, str | int | float]:
    return {
        "mails, correspondents": mails,
        "accounts": 1,
        "rounds (median shown)": rounds,
        "database": "PostgreSQL" if os.environ.get("BENCH_DATABASE_URL") else "SQLite",
        "sink": "Postfix, discarding",
        "floor": "one pipelined connection",
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mails", type=int, nargs="?", default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    run(lambda: bench(given.mails, given.rounds))


if __name__ == "__main__":
    main()
