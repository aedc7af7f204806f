"""Scripted servers beside a test that waits: an asynchronous context in a thread with a loop of its own."""

import asyncio
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 20.0


@contextmanager
def running(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What the manager gives, for the time of the block; what it raises at the end is raised here."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="scripted", daemon=True)
    thread.start()

    def there(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    try:
        value: T = there(manager.__aenter__())
        try:
            yield value
        except BaseException:
            there(manager.__aexit__(*sys.exc_info()))
            raise
        there(manager.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
