"""Group commit: transactions that wait for the one writer of SQLite go to disk together.

They share the COMMIT, which is the wait for the disk. When one of them fails all is undone, and they run
again with a savepoint each, so that who fails undoes only itself. Whoever comes alone commits alone.

Brief ones run on the event loop, a few milliseconds at a time, with only BEGIN and COMMIT, which may have to
wait, in the writer's thread: a statement takes some 20 µs; to hand the interpreter's lock to another thread
and get it back takes longer, and happens at every statement (docs/decisions/0014).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

from postroom.core.errors import PostroomError
from postroom.core.ports import Steps
from postroom.storage.database import SLICE, Lane
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


_Jobs = deque[_Job[Any]]


class Grouped:
    """`database.Writer` on the one connection that may write.

    Either a group of jobs has the connection, or a session. Whoever gives it back hands it on: brief jobs,
    long ones and sessions take turns, so that none of them waits for ever.
    """

    def __init__(self, lane: Lane, steps: Steps) -> None:
        self._lane = lane
        self._steps = steps
        self._urgent: _Jobs = deque()
        self._brief: _Jobs = deque()
        self._long: _Jobs = deque()
        self._sessions: deque[asyncio.Future[None]] = deque()
        self._turns = deque((self._brief_turn, self._long_turn, self._session_turn))
        self._taken = False

    async def write(self, name: str, work: Work[T]) -> T:
        """`Writer.write`."""
        return await self._queued(self._long, name, work)

    async def brief(self, name: str, work: Work[T], *, urgent: bool = False) -> T:
        """`Writer.brief`."""
        return await self._queued(self._urgent if urgent else self._brief, name, work)

    async def _queued(self, waiting: _Jobs, name: str, work: Work[T]) -> T:
        """Whose caller gives up before it began, is left out."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiting.append(_Job(name, work, done))
        if not self._taken:
            self._hand_on()
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
            self._hand_on()

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sessions.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on()  # it came just when nobody wanted it any more
            raise

    # --- whose turn it is -----------------------------------------------------------------------------

    def _hand_on(self) -> None:
        """Let the next in turn have the connection; when nobody wants it, it is free."""
        for _ in range(len(self._turns)):
            begins = self._turns[0]
            self._turns.rotate(-1)
            if begins():
                self._taken = True
                return
        self._taken = False

    def _brief_turn(self) -> bool:
        waiting = len(self._urgent) + len(self._brief)
        if waiting > 1:
            opening = self._lane.start(self._lane.pool.open)
            opening.add_done_callback(self._opened)
        elif waiting:
            self._in_thread([self._next_brief()], self._alone_each)
        return bool(waiting)

    def _long_turn(self) -> bool:
        if not self._long:
            return False
        jobs = [self._long.popleft() for _ in range(min(_TOGETHER, len(self._long)))]
        self._in_thread([job for job in jobs if not job.done.done()], self._together)
        return True

    def _session_turn(self) -> bool:
        while self._sessions:
            turn = self._sessions.popleft()
            if not turn.done():  # else it gave up waiting
                turn.set_result(None)
                return True
        return False

    def _next_brief(self) -> _Job[Any]:
        return (self._urgent or self._brief).popleft()

    # --- brief jobs, on the loop ----------------------------------------------------------------------

    def _opened(self, opening: "asyncio.Future[Transaction]") -> None:
        fault = asyncio.CancelledError() if opening.cancelled() else opening.exception()
        if fault is not None:
            self._tell([self._next_brief()], [_Outcome(error=fault)])
            return
        transaction = opening.result()
        jobs: list[_Job[Any]] = []
        try:
            outcomes = self._slice(transaction, jobs)
        except Exception:  # noqa: BLE001 - each finds its own fault again
            transaction.close()
            self._in_thread(jobs, self._apart)
            return
        self._in_thread(jobs, lambda _: self._committed(transaction, jobs, outcomes))

    def _slice(self, transaction: Transaction, jobs: list[_Job[Any]]) -> list[_Outcome]:
        """Run what waits for as long as the loop can spare; `jobs` says which."""
        outcomes = []
        ends = perf_counter() + SLICE
        while (self._urgent or self._brief) and perf_counter() < ends:
            job = self._next_brief()
            if not job.done.done():
                jobs.append(job)
                outcomes.append(_Outcome(transaction.run(job.work)))
        return outcomes

    # --- to the writer's thread and back --------------------------------------------------------------

    def _in_thread(self, jobs: list[_Job[Any]], run: Callable[[list[_Job[Any]]], list[_Outcome]]) -> None:
        running = self._lane.start(lambda: run(jobs))
        running.add_done_callback(lambda ended: self._ended(jobs, ended))

    def _ended(self, jobs: list[_Job[Any]], ended: "asyncio.Future[list[_Outcome]]") -> None:
        fault = asyncio.CancelledError() if ended.cancelled() else ended.exception()
        self._tell(jobs, ended.result() if fault is None else [_Outcome(error=fault)] * len(jobs))

    def _tell(self, jobs: list[_Job[Any]], outcomes: list[_Outcome]) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            outcome.tell(job)
        self._hand_on()

    # --- in the writer's thread -----------------------------------------------------------------------

    def _together(self, jobs: list[_Job[Any]]) -> list[_Outcome]:
        """Without savepoints, which cost as much as the statements between them: one hardly ever fails."""
        if len(jobs) < 2:
            return self._alone_each(jobs)
        transaction = self._lane.pool.open()
        try:
            outcomes = [_Outcome(transaction.run(job.work)) for job in jobs]
        except Exception:  # noqa: BLE001 - each finds its own fault again
            transaction.close()
            return self._apart(jobs)
        except BaseException:
            transaction.close()
            raise
        return self._committed(transaction, jobs, outcomes)

    def _apart(self, jobs: list[_Job[Any]]) -> list[_Outcome]:
        """With a savepoint each."""
        transaction = self._lane.pool.open()
        try:
            outcomes = transaction.run(lambda connection: [self._within(connection, job) for job in jobs])
        except PostroomError:
            # The transaction as a whole broke: who is to blame must not take the others along.
            transaction.close()
            return self._alone_each(jobs)
        except BaseException:
            transaction.close()
            raise
        return self._committed(transaction, jobs, outcomes)

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

    def _alone_each(self, jobs: list[_Job[Any]]) -> list[_Outcome]:
        return [self._alone(job) for job in jobs]

    def _alone(self, job: _Job[Any]) -> _Outcome:
        before, after = f"before-commit:{job.name}", f"commit:{job.name}"
        try:
            result = self._lane.pool.transact(job.work, lambda: self._steps.reached(before))
        except Exception as exc:  # noqa: BLE001 - it is its caller's to handle
            return _Outcome(error=exc)
        self._steps.reached(after)
        return _Outcome(result)
