"""The worker processes of a storm: started, killed, stopped and continued."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.storm.ground import Ground
from tests.support.processes import Birth, Process, started
from tests.support.served import clean_environment


@dataclass(slots=True)
class Worker:
    """One process. `standing`: stopped by SIGSTOP."""

    process: Process
    log: Path
    standing: bool = False

    @property
    def pid(self) -> int:
        """Its process id, which is also in its name in the database."""
        return self.process.pid


class Fleet:
    """All workers of one storm. `role`: the command that runs one."""

    def __init__(self, ground: Ground, role: str) -> None:
        self._ground = ground
        self._role = role
        self._started = 0
        self.workers: list[Worker] = []

    def start(self) -> Worker:
        """One more."""
        self._started += 1
        folder = self._ground.folder / f"worker{self._started}"
        folder.mkdir()
        log = folder / "log"
        given = {**self._ground.variables, "POSTROOM_DATA_DIR": str(folder / "data")}
        process = started(Birth(folder, clean_environment(given), (self._role,), stdout=log, stderr=log))
        worker = Worker(process, log)
        self.workers.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        """End it without warning (SIGKILL)."""
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.wait(10)

    def stop(self, worker: Worker) -> None:
        """Let it stand still (SIGSTOP)."""
        worker.process.send_signal(signal.SIGSTOP)
        worker.standing = True

    def go_on(self, worker: Worker) -> None:
        """Let it go on, as if nothing had been (SIGCONT)."""
        worker.process.send_signal(signal.SIGCONT)
        worker.standing = False

    def check(self) -> None:
        """Raise when a worker ended that nobody killed."""
        for worker in self.workers:
            if worker.process.poll() is not None:
                end = worker.log.read_text(errors="replace")[-4000:]
                raise AssertionError(f"a worker ended by itself with {worker.process.returncode}:\n{end}")


@contextmanager
def fleet(ground: Ground, role: str, workers: int) -> Iterator[Fleet]:
    """So many workers, all ended afterwards."""
    made = Fleet(ground, role)
    try:
        for _ in range(workers):
            made.start()
        yield made
    finally:
        for worker in tuple(made.workers):
            made.kill(worker)
