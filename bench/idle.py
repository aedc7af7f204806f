"""Memory and processor time of idle mailboxes: ours against bare TLS connections that IDLE and poll, too.

`python -m bench.idle [mailboxes …]`, 100, 1,000 and 10,000 unless said otherwise. Both sides run at the same
time, each against a light server of its own (`bench.light_imap`); they poll every 60 s. Memory is what the
process grew by over one without mailboxes; processor time is taken over 60 s once every mailbox was polled.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.bare_idle import bare_idlers
from bench.figures import Aim, Figure, report
from bench.light_imap import raise_file_limit, running_light_imap
from bench.processes import memory, processor
from bench.rig import running_service
from bench.sites import store_sites
from tests.support.certificates import CertificateAuthority

POLL_SECONDS = 60
SETTLED_SECONDS = 5
PATIENCE = 600.0
LARGEST = 10_000
AIMED = 1_000
"""Of so many mailboxes the processor time has an aim; of fewer it is noise."""

NO_SUBMISSION = 9
"""A port; nothing is sent here."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one side, without a mailbox taken off: `memory` in bytes; `busy`: per cent of a core."""

    memory: int
    busy: float


def bench(sizes: Sequence[int]) -> None:
    """Measure and report."""
    figures = []
    with TemporaryDirectory(prefix="pb-") as name:
        folder = Path(name)
        authority = CertificateAuthority(folder)
        with _both(authority, folder / "none", 0) as pids:
            time.sleep(SETTLED_SECONDS)
            empty = [memory(pid) for pid in pids]
        for count in sizes:
            print(f"{count} mailboxes", flush=True)
            with _both(authority, folder / str(count), count) as pids:
                costs = _costs(pids, with_processor=count >= AIMED)
            figures += _figures(count, costs, empty)
    report("idle", _setting(empty), figures)


@contextmanager
def _both(authority: CertificateAuthority, data: Path, count: int) -> Iterator[tuple[int, int]]:
    """The service and the bare client with so many mailboxes, all of which IDLE; their process ids."""
    own = authority.localhost()
    with (
        running_light_imap(own.certificate, own.key) as ours,
        running_light_imap(own.certificate, own.key) as theirs,
        bare_idlers(theirs.port, authority.ca_file, count, POLL_SECONDS) as (bare, _),
    ):
        asyncio.run(store_sites(data, count, ours.port, NO_SUBMISSION))
        with running_service(authority.ca_file, POSTROOM_DATA_DIR=str(data)) as service:
            ours.until_idling(count, PATIENCE, lambda: service.process.poll() is None)
            yield service.process.pid, bare


def _costs(pids: tuple[int, int], *, with_processor: bool) -> list[Cost]:
    time.sleep(POLL_SECONDS if with_processor else SETTLED_SECONDS)
    before = [processor(pid) for pid in pids]
    if with_processor:
        time.sleep(POLL_SECONDS)
    used = [processor(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
    return [Cost(memory(pid), 100 * seconds / POLL_SECONDS) for pid, seconds in zip(pids, used, strict=True)]


def _figures(count: int, costs: Sequence[Cost], empty: Sequence[int]) -> list[Figure]:
    grown = [(cost.memory - without) / count / 1024 for cost, without in zip(costs, empty, strict=True)]
    ours, bare = costs
    twice = Aim("≤ 2 × floor", "at most of floor", 2)
    gibibyte = Aim("< 1 GiB", "at most", 1024) if count >= LARGEST else None
    figures = [
        Figure(f"memory a mailbox, {count:,}", "KiB", grown[0], grown[1], twice if count >= AIMED else None),
        Figure(
            f"memory of the process, {count:,}", "MiB", ours.memory / 2**20, bare.memory / 2**20, gibibyte
        ),
    ]
    if ours.busy:
        aim = Aim("≤ 1 % of a core", "at most", 1) if count == AIMED else None
        figures.append(Figure(f"processor, {count:,}", "%", ours.busy, bare.busy, aim))
    return figures


def _setting(empty: Sequence[int]) -> dict[str, str | int | float]:
    return {
        "source": "bench light IMAP server, TLS",
        "safety poll": f"{POLL_SECONDS} s",
        "without a mailbox": f"{empty[0] / 2**20:.0f} MiB ours, {empty[1] / 2**20:.0f} MiB bare",
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", metavar="mailboxes")
    raise_file_limit()
    bench(parser.parse_args().sizes or [100, AIMED, LARGEST])


if __name__ == "__main__":
    main()
