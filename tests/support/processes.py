"""`postroom …` as a process: started as a user starts it, or forked from one that has imported everything.

Forked, a start costs its work and not its imports, which took half of the time of all tests; environment,
folder, output and exit code are as a user has them. What measures starts them; so do
tests/scenario/test_serve.py, test_inspect.py and watch/backfilling.py, to show that it is the same program.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Protocol

NOTHING = Path(os.devnull)

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "__main__",
        "postroom.cli.running",
        "postroom.jobs.postgresql",
        "postroom.serve",
        "tests.support.bots",
        "tests.support.mortal",
    ]
)


class Process(Protocol):
    """What `subprocess.Popen` has and the tests use."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | Any: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Birth:
    """What a process is told. Its output files are made or added to."""

    folder: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    stdin: Path = NOTHING
    stdout: Path = NOTHING
    stderr: Path = NOTHING


def started(birth: Birth) -> Process:
    """`python -m postroom` with these arguments."""
    with (
        birth.stdin.open("rb") as given,
        birth.stdout.open("ab") as output,
        birth.stderr.open("ab") as errors,
    ):
        return subprocess.Popen(
            [sys.executable, "-m", "postroom", *birth.arguments],
            env=birth.environment,
            cwd=birth.folder,
            stdin=given,
            stdout=output,
            stderr=errors,
        )


def forked(birth: Birth) -> Process:
    """The same, with everything imported beforehand."""
    for output in (birth.stdout, birth.stderr):
        output.touch()  # who waits for what it says may look before it says anything
    return Forked(_postroom, birth)


class Forked:
    """A forked process that calls a function of these arguments."""

    def __init__(self, target: Callable[..., object], *arguments: Any) -> None:
        self._process: ForkServerProcess = _FORKING.Process(target=target, args=arguments, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended. Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """End it as a service manager does."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning."""
        self.send_signal(signal.SIGKILL)


def _postroom(birth: Birth) -> None:
    take_over(birth)
    sys.argv = ["postroom", *birth.arguments]
    from postroom.cli import main

    main()


def take_over(birth: Birth) -> None:
    """Make a forked process what a started one is."""
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path, mode in (
        (0, birth.stdin, os.O_RDONLY),
        (1, birth.stdout, appending),
        (2, birth.stderr, appending),
    ):
        opened = os.open(path, mode, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(birth.folder)
    os.environ.clear()
    os.environ.update(birth.environment)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
