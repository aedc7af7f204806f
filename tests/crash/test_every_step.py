"""Killed anywhere, the service gives every mail exactly one answer and every call exactly one mail.

The steps are those that a service reaches on the way of a mail and of a sendEmail call: each commit, each
write and read on a connection to a mail server, each file of bytes, and the arrows between them. At each of
them a service is killed in a run of its own, started again until all is quiet, and once more.

CRASH_STEPS says how many are drawn (`all` of them: `make crash`) or names some (`smtp:354#1,smtp:354#2`);
CRASH_SEED repeats a draw.
"""

import os
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from postroom.sandbox.server import Sandbox
from tests.crash.conftest import MakeDatabase
from tests.crash.journey import Journey
from tests.crash.judged import faults, place
from tests.support.mortal import Died, Step, life, numbered

WANTED = os.environ.get("CRASH_STEPS", "")
DRAWN = {"sqlite": 10, "postgresql": 3}
LEAST_STEPS = 40
AT_ONCE = 2
HEARTBEAT = (":worker-renew", ":worker-round")
"""These come with time, not on the way."""
TRIES = 3
OUTAGE = {"sqlite": timedelta(), "postgresql": timedelta(minutes=2)}
"""How long a service is down. Where others may live on, what a dead one held is free when its lease ends."""

_numbers = count(1)


@dataclass(frozen=True)
class Rig:
    """Makes journeys that have nothing in common but the mail servers."""

    folder: Path
    servers: Sandbox
    database: str
    make_database: MakeDatabase

    def journey(self) -> Journey:
        """A fresh service and mailbox."""
        name = f"case-{os.getpid()}-{next(_numbers)}"
        folder = self.folder / name
        folder.mkdir()
        return Journey(name, folder, self.servers, self.make_database(folder))


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path, servers: Sandbox, make_database: MakeDatabase) -> Rig:
    return Rig(tmp_path, servers, request.node.callspec.params["make_database"], make_database)


@pytest.mark.timeout(3600 if WANTED else 300)
def test_b7_killed_at_any_step_a_mail_has_one_answer_and_a_call_one_mail(
    rig: Rig, show: Callable[[str], None]
) -> None:
    steps = _steps(rig)
    chosen = _chosen(steps, DRAWN[rig.database], show)
    assert len(steps) >= LEAST_STEPS
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(lambda step: _tried(rig, step), chosen))
    wrong = [
        f"{place(step, steps)}: {'; '.join(found)}"
        for step, found in zip(chosen, outcomes, strict=True)
        if found
    ]
    show(f"killed at {len(chosen)} steps, {len(wrong)} of them with faults")
    assert not wrong, "\n".join(["", *wrong])


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints a line for people also while output is captured."""

    def shown(line: str) -> None:
        with capsys.disabled():
            print(f"\ncrash [{request.node.callspec.id}]: {line}", file=sys.stderr, flush=True)

    return shown


def _steps(rig: Rig) -> tuple[Step, ...]:
    """The steps that a service reaches each time it goes the way undisturbed."""
    first, second = (_undisturbed(rig) for _ in range(2))
    return tuple(step for step in first if step in set(second) and not step.name.endswith(HEARTBEAT))


def _undisturbed(rig: Rig) -> tuple[Step, ...]:
    journey = rig.journey()
    with life(journey.folder, journey.variables) as living:
        journey.drive(living)
        trace = living.trace()
        living.stop()
    assert faults(journey, trace) == []
    return numbered(trace)


def _chosen(steps: tuple[Step, ...], usual: int, show: Callable[[str], None]) -> list[Step]:
    if WANTED == "all":
        show(f"{len(steps)} steps on the way, all are tried")
        return list(steps)
    if WANTED and not WANTED.isdigit():
        return [step for step in steps if str(step) in WANTED.split(",")]
    number = int(WANTED or usual)
    seed = os.environ.get("CRASH_SEED") or str(random.randrange(10**6))
    show(f"{len(steps)} steps on the way, {number} are drawn with CRASH_SEED={seed}")
    return random.Random(seed).sample(steps, number)


def _tried(rig: Rig, step: Step) -> list[str]:
    """What goes wrong when the service dies there.

    How often a step is reached may differ from run to run; then the time before is tried.
    """
    for _ in range(TRIES):
        journey = rig.journey()
        outage = OUTAGE[rig.database]
        with life(journey.folder, journey.variables, step) as living:
            try:
                journey.drive(living)
            except Died:
                return _after(journey, living.trace(), outage)
            except AssertionError as exc:
                return [f"before the kill: {exc}"]
    if step.number > 1:
        return _tried(rig, step._replace(number=step.number - 1))
    return ["was never reached again"]


def _after(journey: Journey, trace: list[str], outage: timedelta) -> list[str]:
    """What is wrong after a second life, and what a third one changes."""
    try:
        with life(journey.folder, journey.variables, ahead=outage) as second:
            journey.drive(second)
            second.stop()
        found = faults(journey, trace)
        before = _everything(journey)
        with life(journey.folder, journey.variables, ahead=2 * outage) as third:
            journey.drive(third)
            third.until(lambda: "imap:write:IDLE" in third.trace())
            third.stop()
    except AssertionError as exc:
        return [f"after the kill: {exc}"]
    changes = [f"{name}: {was} is now {now}" for name, was, now in _differing(before, _everything(journey))]
    return found + [f"a third life changed {change}" for change in changes]


def _everything(journey: Journey) -> dict[str, Any]:
    return asdict(journey.stored()) | asdict(journey.mailboxes())


def _differing(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    return ((name, before[name], after[name]) for name in before if before[name] != after[name])
