"""Growth: what a message costs in a large installation against a small one.

`python -m bench.growth [--messages 1000000] [--sites 10000]`. Some questions go the real way first (taken in,
answered, submitted to a sink), then their rows are multiplied in the database until the wanted number of
messages, or of sites, is stored. New messages go the real way in the small and in the large database by
turns: five rounds, the median counts. The embedded database; nothing is asked of an IMAP server.
"""

import argparse
import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.agent import reply
from bench.figures import Aim, Figure, report
from bench.letters import question
from bench.multiplied import multiply_messages, multiply_sites
from bench.rig import run
from bench.sink import Sink, running_sink
from bench.sites import address_of, store_sites
from postroom.agents.python import PythonAgent
from postroom.config import load
from postroom.core.model import Place, Role, Source
from postroom.engine.read import Arrived
from postroom.service import Service, opened
from tests.support.certificates import CertificateAuthority

SMALL_MESSAGES = 1_000
SMALL_SITES = 100
ROUNDS = 5
A_ROUND = 50
NO_IMAP = 9
SITE = "site0"
AIM = Aim("≤ 1.3 × small", "at most of floor", 1.3)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one message, in milliseconds: from the clock, and of the processor."""

    elapsed: float
    processor: float


class Installation:
    """A service on a data directory, to which messages come."""

    def __init__(self, service: Service, numbers: "count[int]", sink: Sink) -> None:
        self._service = service
        self._numbers = numbers
        self._sink = sink

    async def cost(self, messages: int) -> Cost:
        """Take in, answer and submit so many questions, one after the other."""
        new = islice(self._numbers, messages)
        raws = [(number, question(number, address_of(0))) for number in new]
        began, used = time.perf_counter(), time.process_time()
        for number, raw in raws:
            await self._answered(number, raw)
        took, used = time.perf_counter() - began, time.process_time() - used
        return Cost(1000 * took / messages, 1000 * used / messages)

    async def _answered(self, number: int, raw: bytes) -> None:
        site = await self._service.accounts.get(SITE)
        place = Place("INBOX", 1, number)
        arrived = Arrived(Source.MAILBOX, raw, datetime.now(UTC), len(raw), place, Role.INBOX)
        (taken,) = await self._service.ingest.take(site, [arrived])
        await self._service.answerer.look(taken.message.thread_id)
        if number not in self._sink.accepted:
            raise AssertionError(f"question {number} was not answered")


async def bench(messages: int, sites: int) -> None:
    """Measure and report."""
    with TemporaryDirectory(prefix="pb-") as name:
        folder = Path(name)
        authority = CertificateAuthority(folder)
        numbers = count(1)
        async with running_sink(authority.localhost().context()) as sink:
            small = folder / "small"
            await store_sites(small, SMALL_SITES, NO_IMAP, sink.port)
            await _in_turns(authority, sink, numbers, [small], 1, SMALL_MESSAGES // 2)
            print(f"{messages:,} messages are being stored", flush=True)
            many = _copied(small, folder / "messages")
            stored = await asyncio.to_thread(multiply_messages, many, messages)
            print(f"{sites:,} sites are being stored", flush=True)
            wide = _copied(small, folder / "sites")
            await asyncio.to_thread(multiply_sites, wide, sites)
            costs = await _in_turns(authority, sink, numbers, [small, many, wide], ROUNDS, A_ROUND)
    report("growth", _setting(stored, sites), _figures(costs, stored, sites))


async def _in_turns(
    authority: CertificateAuthority,
    sink: Sink,
    numbers: "count[int]",
    folders: Sequence[Path],
    rounds: int,
    messages: int,
) -> list[list[Cost]]:
    """The costs in each of the installations."""
    costs: list[list[Cost]] = [[] for _ in folders]
    async with AsyncExitStack() as stack:
        installations = []
        for folder in folders:
            settings = load(_variables(folder, authority), folder.parent)
            service = await stack.enter_async_context(opened(settings, PythonAgent(reply)))
            stack.push_async_callback(service.mailer.close)
            installations.append(Installation(service, numbers, sink))
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            for installation, seen in zip(installations, costs, strict=True):
                await installation.cost(2)
                seen.append(await installation.cost(messages))
    return costs


def _variables(data: Path, authority: CertificateAuthority) -> dict[str, str]:
    return {
        "POSTROOM_DATA_DIR": str(data),
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(authority.ca_file),
    }


def _copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def _figures(costs: Sequence[Sequence[Cost]], messages: int, sites: int) -> list[Figure]:
    figures = []
    small = costs[0]
    for what, large in ((f"{messages:,} messages", costs[1]), (f"{sites:,} sites", costs[2])):
        elapsed = [(median(cost.elapsed for cost in each)) for each in (large, small)]
        processor = [(median(cost.processor for cost in each)) for each in (large, small)]
        figures.append(Figure(f"a message at {what}", "ms", elapsed[0], elapsed[1], AIM))
        figures.append(Figure(f"processor a message at {what}", "ms", processor[0], processor[1], AIM))
    return figures


def _setting(messages: int, sites: int) -> dict[str, str | int | float]:
    return {
        "floor": f"{SMALL_MESSAGES:,} messages, {SMALL_SITES} sites",
        "messages": messages,
        "sites": sites,
        "rounds (median)": ROUNDS,
        "messages a round": A_ROUND,
        "sink": "bench sink, TLS, one connection",
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--sites", type=int, default=10_000)
    chosen = parser.parse_args()
    run(lambda: bench(chosen.messages, chosen.sites))


if __name__ == "__main__":
    main()
