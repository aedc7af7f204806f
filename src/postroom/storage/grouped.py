"""Group commit: transactions that wait for the one writer of SQLite go to disk together.

They share the COMMIT, which is the wait for the disk. When one of them fails all is undone, and they run
again with a savepoint each, so that who fails undoes only itself. Whoever comes alone commits alone.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from postroom.core.errors import PostroomError
from postroom.core.ports import Steps
from postroom.storage.database import Lane
from postroom.storage.pool import Transaction, Work
from postroom.storage.statements import Connection

T = TypeVar("T")
_TOGETHER = 16
"""Few enough that whoever comes next does not wait for long."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[T]):
    """Work that waits, and where its caller waits for it."""

    name: str
    work: Work[T]
    done: "asyncio.Future[T]"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a job came to: its result, or what it raised."""

    result: Any = None
    error: BaseException | None = None

    def tell(self, job: _Job[Any]) -> None:
        """Let its caller know, unless they gave up."""
        if job.done.done():
            return
        if self.error is None:
            job.done.set_result(self.result)
        else:
            job.done.set_exception(self.error)


class Grouped:
    """`database.Writer` on the one connection that may write.

    Either a group of jobs has the connection, or a session. Whoever gives it back hands it on: sessions and
    groups take turns, so that neither waits for ever.
    """

    def __init__(self, lane: Lane, steps: Steps) -> None:
        self._lane = lane
        self._steps = steps
        self._jobs: deque[_Job[Any]] = deque()
        self._urgent: deque[_Job[Any]] = deque()
        self._sessions: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def write(self, name: str, work: Work[T], *, urgent: bool = False) -> T:
        """`Writer.write`. Whose caller gives up before it began, is left out."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._jobs).append(_Job(name, work, done))
        if not self._taken:
            self._run_group()
        return await done

    @asynccontextmanager
    async def reserved(self) -> AsyncIterator[None]:
        """`Writer.reserved`."""
        if self._taken:
            await self._turn()
        self._taken = True
        try:
            yield
        finally:
            self._hand_on(after_group=False)

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sessions.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on(after_group=False)  # it came just when nobody wanted it any more
            raise

    def _run_group(self) -> None:
        self._taken = True
        jobs: list[_Job[Any]] = []
        for waiting in (self._urgent, self._jobs):
            while waiting and len(jobs) < _TOGETHER:
                job = waiting.popleft()
                if not job.done.done():
                    jobs.append(job)
        running = self._lane.start(lambda: self._together(jobs))
        running.add_done_callback(lambda ended: self._ended(jobs, ended))

    def _ended(self, jobs: list[_Job[Any]], ended: "asyncio.Future[list[_Outcome]]") -> None:
        if ended.cancelled():
            outcomes = [_Outcome(error=asyncio.CancelledError())] * len(jobs)
        elif (error := ended.exception()) is not None:
            outcomes = [_Outcome(error=error)] * len(jobs)
        else:
            outcomes = ended.result()
        for job, outcome in zip(jobs, outcomes, strict=True):
            outcome.tell(job)
        self._hand_on(after_group=True)

    def _hand_on(self, *, after_group: bool) -> None:
        while self._sessions and self._sessions[0].done():
            self._sessions.popleft()  # gave up waiting
        jobs = self._urgent or self._jobs
        if self._sessions and (after_group or not jobs):
            self._sessions.popleft().set_result(None)
        elif jobs:
            self._run_group()
        else:
            self._taken = False

    # In the writer's thread.

    def _together(self, jobs: list[_Job[Any]]) -> list[_Outcome]:
        if len(jobs) < 2:
            return [self._alone(job) for job in jobs]
        # Savepoints cost as much as the statements between them, and hardly ever does one fail.
        for within in (_trusting, self._within):
            transaction = self._lane.pool.open()
            try:
                outcomes = transaction.run(partial(_each, within, jobs))
            except PostroomError:
                # The transaction as a whole broke: who is to blame must not take the others along.
                transaction.close()
                break
            except _Failed:
                transaction.close()
                continue
            except BaseException:
                transaction.close()
                raise
            return self._committed(transaction, jobs, outcomes)
        return [self._alone(job) for job in jobs]

    def _committed(
        self, transaction: Transaction, jobs: list[_Job[Any]], outcomes: list[_Outcome]
    ) -> list[_Outcome]:
        done = [job for job, outcome in zip(jobs, outcomes, strict=True) if outcome.error is None]
        try:
            for job in done:
                self._steps.reached(f"before-commit:{job.name}")
            transaction.commit()
        except PostroomError as exc:
            return [outcome if outcome.error else _Outcome(error=exc) for outcome in outcomes]
        finally:
            transaction.close()
        for job in done:
            self._steps.reached(f"commit:{job.name}")
        return outcomes

    def _within(self, connection: Connection, job: _Job[Any]) -> _Outcome:
        connection.command("SAVEPOINT job")
        try:
            result = job.work(connection)
        except Exception as exc:  # noqa: BLE001 - it is its caller's to handle
            connection.command("ROLLBACK TO job")
            connection.command("RELEASE job")
            return _Outcome(error=self._lane.pool.ours(exc))
        connection.command("RELEASE job")
        return _Outcome(result)

    def _alone(self, job: _Job[Any]) -> _Outcome:
        before, after = f"before-commit:{job.name}", f"commit:{job.name}"
        try:
            result = self._lane.pool.transact(job.work, lambda: self._steps.reached(before))
        except Exception as exc:  # noqa: BLE001 - it is its caller's to handle
            return _Outcome(error=exc)
        self._steps.reached(after)
        return _Outcome(result)


class _Failed(Exception):
    """One of the jobs failed where none was expected to."""


def _each(
    within: Callable[[Connection, _Job[Any]], _Outcome], jobs: list[_Job[Any]], connection: Connection
) -> list[_Outcome]:
    return [within(connection, job) for job in jobs]


def _trusting(connection: Connection, job: _Job[Any]) -> _Outcome:
    try:
        return _Outcome(job.work(connection))
    except Exception as exc:
        raise _Failed from exc
