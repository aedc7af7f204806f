"""Scripted servers beside a test that waits: an asynchronous context in a thread with a loop of its own."""

import asyncio
import selectors
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 20.0
HANG_UP = 3.0


@contextmanager
def running(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What the manager gives, for the time of the block; what it raises at the end is raised here."""
    selector = selectors.DefaultSelector()
    loop = asyncio.SelectorEventLoop(selector)
    own = len(selector.get_map())
    thread = threading.Thread(target=loop.run_forever, name="scripted", daemon=True)
    thread.start()

    def there(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    async def hung_up() -> None:
        """Connections whose handshake was cut short close a little later than the server."""
        async with asyncio.timeout(HANG_UP):
            while len(selector.get_map()) > own:  # noqa: ASYNC110 - a selector tells nobody
                await asyncio.sleep(0.005)

    try:
        value: T = there(manager.__aenter__())
        try:
            yield value
        except BaseException:
            there(manager.__aexit__(*sys.exc_info()))
            raise
        there(manager.__aexit__(None, None, None))
        with suppress(TimeoutError):
            there(hung_up())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
