"""`postroom serve` as a process of its own, as a user runs it, on a free port."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx2

from tests.support.processes import Birth, Process, forked

ADMIN_KEY = "admin-key-for-the-tests-0123456789"
PATIENCE = 20.0
ROOT = Path(__file__).parents[2]
Launch: TypeAlias = Callable[[Birth], Process]


@dataclass(slots=True)
class Served:
    """A running service: its URL, its process, and where its log and data are."""

    url: str
    process: Process
    log: Path
    data: Path

    def client(self, key: str | None = ADMIN_KEY) -> httpx2.Client:
        """An HTTP client that shows this key."""
        headers = {"x-api-key": key} if key else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30)

    def stop(self) -> int:
        """End it as a service manager does; gives the exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        self.process.wait(10)

    def log_text(self) -> str:
        """Everything it has logged."""
        return self.log.read_text(errors="replace")


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a fresh user, with what is given."""
    ours = ("EMAIL_", "POSTROOM_", "ENABLED_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**inherited, "PYTHONPATH": str(ROOT), **extra}


@contextmanager
def served(
    folder: Path, extra: Mapping[str, str] | None = None, *, ready: bool = True, launch: Launch = forked
) -> Iterator[Served]:
    """Start the service in the folder (its data in `folder/data`) and end it afterwards.

    With `ready` it is given once /readyz says so, else once it listens.
    """
    service = start(folder, extra, ready=ready, launch=launch)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.kill()


def start(
    folder: Path,
    extra: Mapping[str, str] | None = None,
    *,
    ready: bool = True,
    command: str = "serve",
    launch: Launch = forked,
) -> Served:
    """Start it, or another command that has the API; the caller ends it."""
    service = _started(folder, extra, command, launch)
    try:
        entry = _logged(service, "api.listening")
        service.url = f"http://{entry['host']}:{entry['port']}"
        if ready:
            eventually(lambda: httpx2.get(f"{service.url}/readyz").status_code == 200)
    except BaseException:
        service.kill()
        raise
    return service


def start_worker(folder: Path, extra: Mapping[str, str], *, launch: Launch = forked) -> Served:
    """Start `postroom worker`, which has no API; the caller ends it."""
    service = _started(folder, extra, "worker", launch)
    try:
        _logged(service, "worker.working")
    except BaseException:
        service.kill()
        raise
    return service


def _started(folder: Path, extra: Mapping[str, str] | None, command: str, launch: Launch) -> Served:
    defaults = {
        "POSTROOM_PORT": "0",
        "POSTROOM_DATA_DIR": str(folder / "data"),
        "POSTROOM_API_KEY": ADMIN_KEY,
        "POSTROOM_LOG_FORMAT": "json",
    }
    number = len(list(folder.glob(f"{command}-*.log")))
    log = folder / f"{command}-{number}.log"
    environment = clean_environment({**defaults, **(extra or {})})
    process = launch(Birth(folder, environment, (command,), stdout=log, stderr=log))
    return Served("", process, log, folder / "data")


def _logged(service: Served, event: str) -> dict[str, Any]:
    """The first entry of the log with this event, once it is there."""

    def found() -> dict[str, Any] | None:
        if service.process.poll() is not None:
            raise AssertionError(f"it ended with {service.process.returncode}:\n{service.log_text()}")
        entries = (json.loads(line) for line in service.log_text().splitlines() if line.startswith("{"))
        return next((e for e in entries if e.get("event") == event), None)

    entry = eventually(found)
    assert entry is not None
    return dict(entry)


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true value of the condition; fails when it does not come in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"did not come true within {seconds:.0f} s"
        time.sleep(0.02)  # the pause between two looks at another process
