"""`postroom serve` as a process that writes down every step it reaches, and kills itself at one of them."""

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests.support.processes import Birth, Forked, Process, take_over
from tests.support.served import ADMIN_KEY, clean_environment, eventually


class Step(NamedTuple):
    """The `number`th time (from 1) that a process reaches the step `name`."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}#{self.number}"


class Died(Exception):
    """The process killed itself where it was told to."""


# --- in the process -----------------------------------------------------------------------------------


class Trace:
    """`core.ports.Steps` that writes each step down before anything else happens, and dies at `last`."""

    def __init__(self, file: Path, last: Step | None) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._last = last
        self._reached: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reached(self, step: str) -> None:
        """Write it down, and die there."""
        with self._lock:
            self._reached[step] += 1
            os.write(self._file, f"{step}\n".encode())
            if self._last == (step, self._reached[step]):
                os.kill(os.getpid(), signal.SIGKILL)


class LaterClock:
    """`core.ports.Clock` that is ahead of the machine's, as after an outage."""

    def __init__(self, ahead: timedelta) -> None:
        from postroom.core.clock import SystemClock

        self._clock = SystemClock()
        self._ahead = ahead

    def now(self) -> datetime:
        """The present moment, and what it is ahead."""
        return self._clock.now() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Real seconds."""
        await self._clock.sleep(seconds)


def _live(birth: Birth, trace: Path, last: Step | None, ahead: timedelta) -> None:
    """Be `postroom serve`."""
    take_over(birth)
    from postroom.cli.running import environment
    from postroom.serve import serve

    serve(environment(), steps=Trace(trace, last), clock=LaterClock(ahead))
    sys.stdout.flush()


# --- beside it ----------------------------------------------------------------------------------------


@dataclass
class Life:
    """A process from its start to its end. Every wait raises `Died` once it killed itself."""

    process: Process
    log: Path
    trace_file: Path
    last: Step | None

    def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """The first true value of the condition."""

        def found() -> Any:
            self._check()
            return condition()

        return eventually(found, seconds)

    def _check(self) -> None:
        code = self.process.poll()
        if code is None:
            return
        if code == -signal.SIGKILL and self.last is not None:
            raise Died
        raise AssertionError(f"it ended with {code}:\n{self.log_text()}")

    @cached_property
    def url(self) -> str:
        """Where its API listens."""
        found = self.until(self._announced)
        return f"http://{found['host']}:{found['port']}"

    @cached_property
    def client(self) -> httpx2.Client:
        """Shows the admin key to its API, once that listens."""
        headers = {"x-api-key": ADMIN_KEY}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30, verify=False)

    def _announced(self) -> dict[str, Any] | None:
        entries = (json.loads(line) for line in self.log_text().splitlines() if line.startswith("{"))
        return next((entry for entry in entries if entry.get("event") == "api.listening"), None)

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response | None:
        """Call the API with the admin key; None when the connection broke, or none came about."""
        client = self.client
        try:
            return client.request(method, path, **options)
        except httpx2.TransportError:
            return None

    def ready(self) -> bool:
        """Whether every account has its cursor or has failed once."""
        answer = self.request("GET", "/readyz")
        return answer is not None and answer.status_code == 200

    def trace(self) -> list[str]:
        """The steps that it reached, in their order."""
        return self.trace_file.read_text().splitlines() if self.trace_file.exists() else []

    def log_text(self) -> str:
        """Everything it has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self) -> None:
        """End it as a service manager does; what it has begun is finished."""
        self.process.terminate()
        assert self.process.wait(30) == 0, self.log_text()

    def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        self.process.wait(10)

    def forget(self) -> None:
        """Close what was opened to watch it."""
        if "client" in self.__dict__:
            self.client.close()


_lives = count()


@contextmanager
def life(
    folder: Path, variables: Mapping[str, str], last: Step | None = None, ahead: timedelta = timedelta()
) -> Iterator[Life]:
    """Start the service in the folder (its data in `folder/data`); it is killed at the end of the block.

    `last`: the step at which it kills itself. `ahead`: how far its clock is before the machine's.
    """
    number = next(_lives)
    ours = {
        "POSTROOM_PORT": "0",
        "POSTROOM_DATA_DIR": str(folder / "data"),
        "POSTROOM_API_KEY": ADMIN_KEY,
        "POSTROOM_LOG_FORMAT": "json",
    }
    log, trace = folder / f"life-{number}.log", folder / f"life-{number}.trace"
    birth = Birth(folder, clean_environment({**ours, **variables}), stdout=log, stderr=log)
    process = Forked(_live, birth, trace, last, ahead)
    living = Life(process, log, trace, last)
    try:
        yield living
    finally:
        living.kill()
        living.forget()


def numbered(trace: Sequence[str]) -> tuple[Step, ...]:
    """The steps with how often they were reached by then."""
    reached: Counter[str] = Counter()
    steps = []
    for name in trace:
        reached[name] += 1
        steps.append(Step(name, reached[name]))
    return tuple(steps)
