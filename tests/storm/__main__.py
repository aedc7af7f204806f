"""`make storm`: mails over many accounts, while workers, database and mail servers fall over.

Each mail is to have exactly one answer at its correspondent; or at most one, and a submission `unknown` that
says so. Exit code 1 when one has two, or none.
"""

import argparse
import asyncio
import random
import sys
import time

from tests.storm.calm import calm
from tests.storm.fleet import fleet
from tests.storm.ground import Ground, ground
from tests.storm.letters import Letters
from tests.storm.tally import tally
from tests.storm.weather import Weather
from tests.support.databases import NoPostgreSQL
from tests.support.world import NoWorld


def main() -> int:
    """Run one storm; its exit code."""
    arguments = _arguments()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    try:
        with ground(arguments.accounts) as made:
            return asyncio.run(_storm(made, arguments, random.Random(seed)))
    except (NoWorld, NoPostgreSQL) as exc:
        print(f"no storm here: {exc}")
        return 2


async def _storm(made: Ground, arguments: argparse.Namespace, chance: random.Random) -> int:
    began = time.monotonic()
    with fleet(made, arguments.role, arguments.workers) as workers:
        weather = Weather(made, workers, chance)
        letters = Letters(made)
        delivering = asyncio.create_task(letters.deliver(arguments.mails, arguments.seconds * 0.9))
        await weather.rage(arguments.seconds, arguments.cut_off)
        await delivering
        weather.say(
            f"all is delivered and the storm is over; waiting for calm among {len(letters.ids)} mails"
        )
        calmed = await calm(made, len(letters.ids), arguments.patience)
        workers.check()
    result = tally(made, letters.ids)
    print(f"\nstorm         {arguments.workers} workers, {arguments.accounts} accounts, ", end="")
    print(f"{time.monotonic() - began:.0f} s{'' if calmed else ', and it never calmed down'}")
    print(weather.report())
    print(result.report())
    return 0 if calmed and result.good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=360.0, help="how long it rages")
    parser.add_argument("--cut-off", type=float, default=60.0, help="how long the mail servers are gone")
    parser.add_argument("--patience", type=float, default=900.0, help="how long calm may take to come")
    parser.add_argument("--role", default="worker", help="the command that runs a worker")
    parser.add_argument("--seed", type=int, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
