"""Work for threads, handed over in groups: one way there and back for all that waits."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """Calls `work`, in a thread of `threads`, with whatever waits by then.

    `work` gives one result or exception an item, in order. It runs `at_once` times at the most, with `most`
    items each. Who comes alone goes alone and at once.
    """

    def __init__(
        self,
        threads: Executor,
        work: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        *,
        at_once: int,
        most: int,
    ) -> None:
        self._threads = threads
        self._work = work
        self._free = at_once
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()

    async def run(self, item: Item) -> Result:
        """The result for this item. Raises what `work` has for it."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._free:
            self._start()
        return await done

    def _start(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        self._free -= 1
        items = [item for item, _ in group]
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._work, items)
        running.add_done_callback(lambda ended: self._ended([done for _, done in group], ended))

    def _ended(
        self,
        waiting: "list[asyncio.Future[Result]]",
        ended: "asyncio.Future[Sequence[Result | Exception]]",
    ) -> None:
        self._free += 1
        if self._waiting:
            self._start()
        fault = asyncio.CancelledError() if ended.cancelled() else ended.exception()
        results = [fault] * len(waiting) if fault is not None else ended.result()
        for done, result in zip(waiting, results, strict=True):
            if done.done():
                continue  # gave up waiting
            if isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)
