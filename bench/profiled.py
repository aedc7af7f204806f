"""Where the CPU of the event loop goes while a backlog is answered.

`python -m bench.profiled [mails]` runs the backlog with an agent that turns a profiler on at its first call
and off at its last but a few: the thread of the loop, by its own CPU time, so that neither waiting nor what
other programs take counts. Profiling makes calls dearer than they are; shares are to be read, not times.
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rig import connect, discarding_world, run, running_service
from bench.waiting import fill, rate
from postroom.core.agent import Turn
from tests.support.served import Served
from tests.support.world import World

TO, CALLS = "BENCH_PROFILE", "BENCH_PROFILE_CALLS"
"""Environment variables: the file for the profile, and after how many calls it is written."""

STAGES = {
    "fetching: IMAP responses": ("imap/link.py", "_hand_over"),
    "reading: parse, quote, robots": ("engine/read.py", "read"),
    "intake: statements and decisions": ("engine/ingest.py", "_store"),
    "answering: claims, gates, turns": ("engine/answer.py", "_next"),
    "… of it composing": ("engine/compose.py", "answer"),
    "… of it submitting": ("engine/submit.py", "send"),
    "… … of it SMTP": ("adapters/submission.py", "submit"),
    "brief transactions: statements": ("storage/grouped.py", "_slice"),
    "aftercare: Sent and flags": ("engine/mailcare.py", "attend"),
}


@dataclass(slots=True)
class _Profiling:
    profile: cProfile.Profile = field(default_factory=lambda: cProfile.Profile(time.thread_time))
    calls: int = 0


_running = _Profiling()


async def reply(turn: Turn) -> str:
    """The agent."""
    del turn
    _running.calls += 1
    if _running.calls == 1:
        _running.profile.enable()
    elif _running.calls == int(os.environ[CALLS]):
        _running.profile.disable()
        _running.profile.dump_stats(os.environ[TO])
    return "Thank you for your message."


async def bench(mails: int) -> None:
    """Run the backlog once and print the shares."""
    with ExitStack() as stack:
        world = stack.enter_context(discarding_world())
        to = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-"))) / "profile"
        extra = {TO: str(to), CALLS: str(mails * 9 // 10), "POSTROOM_AGENT": "python:bench.profiled:reply"}
        service = await asyncio.to_thread(stack.enter_context, running_service(world.ca_file, None, **extra))
        await asyncio.to_thread(fill, world, "ours@bench.test", mails)
        await rate(world, mails, lambda: asyncio.to_thread(_connect, world, service))
        _show(pstats.Stats(str(to)))


def _connect(world: World, service: Served) -> None:
    with service.client() as client:
        client.patch("/api/sites/site/settings", json={"start": "unseen"}).raise_for_status()
        connect(client, "site", "ours@bench.test", world.imaps, world.smtps)


def _show(stats: pstats.Stats) -> None:
    whole = sum(facts[2] for _, facts in _entries(stats))
    console = Console(width=120)
    stages = Table(title="stages (with all they call)", title_justify="left")
    stages.add_column("stage")
    stages.add_column("share", justify="right")
    for name, (file, function) in STAGES.items():
        stages.add_row(name, f"{_cumulative(stats, file, function) / whole:.0%}")
    console.print(stages)
    dearest = Table(title="dearest functions (without what they call)", title_justify="left")
    for heading in ("function", "calls", "share"):
        dearest.add_column(heading, justify="left" if heading == "function" else "right")
    for where, (_, calls, own, _, _) in sorted(_entries(stats), key=lambda entry: -entry[1][2])[:25]:
        dearest.add_row(_place(where), f"{calls:,}", f"{own / whole:.1%}")
    console.print(dearest)


_Where = tuple[str, int, str]
_Facts = tuple[int, int, float, float, object]


def _entries(stats: pstats.Stats) -> list[tuple[_Where, _Facts]]:
    return list(stats.stats.items())  # type: ignore[attr-defined]  # not in the type stubs


def _cumulative(stats: pstats.Stats, file: str, function: str) -> float:
    found = (facts[3] for where, facts in _entries(stats) if where[0].endswith(file) and where[2] == function)
    return sum(found)


def _place(where: _Where) -> str:
    file, line, function = where
    return function if file == "~" else f"{'/'.join(Path(file).parts[-2:])}:{line} {function}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mails", type=int, nargs="?", default=600)
    mails = parser.parse_args().mails
    run(lambda: bench(mails))


if __name__ == "__main__":
    main()
