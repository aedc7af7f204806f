"""Two workers, one account, and pauses (SIGSTOP, SIGCONT) longer than any lease: no mail is answered twice.

Mail keeps coming. Again and again one of the two is stopped, wherever it happens to be, for longer than the
lease of an account (10 s), often for longer than that of a claim (30 s), and goes on while the other works.
"""

import argparse
import asyncio
import random
import sys
import time

from tests.storm.calm import calm
from tests.storm.fleet import Fleet, fleet
from tests.storm.ground import Ground, ground
from tests.storm.letters import Letters
from tests.storm.tally import tally
from tests.support.databases import NoPostgreSQL
from tests.support.world import NoWorld

STOPPED = (11.0, 45.0)
BETWEEN = (0.5, 6.0)


def main() -> int:
    """Run it; its exit code."""
    arguments = _arguments()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    try:
        with ground(1) as made:
            return asyncio.run(_pauses(made, arguments, random.Random(seed)))
    except (NoWorld, NoPostgreSQL) as exc:
        print(f"no pauses here: {exc}")
        return 2


async def _pauses(made: Ground, arguments: argparse.Namespace, chance: random.Random) -> int:
    seconds = arguments.minutes * 60
    with fleet(made, arguments.role, 2) as workers:
        letters = Letters(made)
        mails = max(1, round(seconds * arguments.rate))
        delivering = asyncio.create_task(letters.deliver(mails, seconds))
        stops = await _stop_by_turns(workers, seconds, chance)
        await delivering
        print(f"stopped {stops} times; waiting for calm among {mails} mails", flush=True)
        calmed = await calm(made, mails, arguments.patience)
        workers.check()
    result = tally(made, letters.ids)
    print(
        f"\npauses        {stops} in {arguments.minutes:g} minutes{'' if calmed else ', and no calm after'}"
    )
    print(result.report())
    return 0 if calmed and result.good else 1


async def _stop_by_turns(workers: Fleet, seconds: float, chance: random.Random) -> int:
    ends = time.monotonic() + seconds
    stops = 0
    while time.monotonic() < ends:
        await asyncio.sleep(chance.uniform(*BETWEEN))
        workers.check()
        worker = chance.choice(workers.workers)
        workers.stop(worker)
        await asyncio.sleep(chance.uniform(*STOPPED))
        workers.go_on(worker)
        stops += 1
    return stops


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm.pauses", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=2.0, help="mails a second")
    parser.add_argument("--patience", type=float, default=600.0, help="how long calm may take to come")
    parser.add_argument("--role", default="worker", help="the command that runs a worker")
    parser.add_argument("--seed", type=int, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
