"""Start: from the beginning of a process until all accounts are watched, against bare connections.

`python -m bench.start [accounts] [rounds]`. The floor logs in, selects and IDLEs once for each account, 50 at
once, in a process of its own against the same light server; ours and the floor take turns. `again` is a
service that knows its mailboxes, `first` one whose accounts are new.
"""

import argparse
import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.bare_idle import bare_idlers
from bench.figures import Aim, Figure, report
from bench.light_imap import LightImap, raise_file_limit, running_light_imap
from bench.rig import running_service
from bench.sites import store_sites
from tests.support.certificates import CertificateAuthority
from tests.support.served import eventually

NO_SUBMISSION = 9
PATIENCE = 600.0
AIM = Aim("≤ 1.5 × floor", "at most of floor", 1.5)


def bench(accounts: int, rounds: int) -> None:
    """Measure and report."""
    floors, ours = [], []
    with TemporaryDirectory(prefix="pb-") as name, ExitStack() as stack:
        authority = CertificateAuthority(Path(name))
        own = authority.localhost()
        server = stack.enter_context(running_light_imap(own.certificate, own.key))
        data = Path(name) / "data"
        asyncio.run(store_sites(data, accounts, server.port, NO_SUBMISSION))
        for number in range(rounds + 1):
            print(f"round {number} of {rounds}", flush=True)
            floors.append(_floor(server, authority.ca_file, accounts))
            ours.append(_ours(server, authority.ca_file, data, accounts))
    floor = median(floors)
    figures = [
        Figure(f"{accounts:,} accounts watched, first", "s", ours[0][0], floor),
        Figure(f"{accounts:,} accounts watched, again", "s", median(t for t, _ in ours[1:]), floor, AIM),
        Figure("the same from the first connection on", "s", median(t for _, t in ours[1:]), floor),
    ]
    setting: dict[str, str | int | float] = {
        "source": "bench light IMAP server, TLS",
        "at once": "50, 25 a host; floor 50",
        "rounds (median)": rounds,
    }
    report("start", setting, figures)


def _floor(server: LightImap, ca_file: Path, accounts: int) -> float:
    with bare_idlers(server.port, ca_file, accounts, 3600) as (_, seconds):
        pass
    eventually(lambda: server.idling() == 0)
    return seconds


def _ours(server: LightImap, ca_file: Path, data: Path, accounts: int) -> tuple[float, float]:
    """Seconds from the service's start, and from its first connection, until all its accounts IDLE."""
    begun = time.monotonic()
    server.forget()
    with running_service(ca_file, POSTROOM_DATA_DIR=str(data)) as service:
        at = server.until_idling(accounts, PATIENCE, lambda: service.process.poll() is None)
        first = server.first_connection()
    eventually(lambda: server.idling() == 0)
    return at - begun, at - first


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", type=int, nargs="?", default=1000)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    chosen = parser.parse_args()
    raise_file_limit()
    bench(chosen.accounts, chosen.rounds)


if __name__ == "__main__":
    main()
