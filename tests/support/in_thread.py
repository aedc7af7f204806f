"""Scripted servers beside a test that waits: an asynchronous context in a thread with a loop of its own."""

import asyncio
import os
import selectors
import socket
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
    own = {key.fd for key in selector.get_map().values()}
    thread = threading.Thread(target=loop.run_forever, name="scripted", daemon=True)
    thread.start()

    def there(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    async def accept_no_more() -> None:
        """asyncio leaves a connection open whose server is closed between accept and transport."""
        for number in [key.fd for key in selector.get_map().values() if key.fd not in own]:
            if _listens(number):
                loop.remove_reader(number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def hang_up() -> None:
        """A server does not know of connections whose handshake goes on: end what is still open."""
        async with asyncio.timeout(HANG_UP):
            while open_still := [key.fd for key in selector.get_map().values() if key.fd not in own]:
                for number in open_still:
                    _shut(number)
                await asyncio.sleep(0.005)

    try:
        value: T = there(manager.__aenter__())
        try:
            yield value
        except BaseException:
            there(accept_no_more())
            there(manager.__aexit__(*sys.exc_info()))
            raise
        there(accept_no_more())
        there(manager.__aexit__(None, None, None))
    finally:
        with suppress(TimeoutError):
            there(hang_up())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def _listens(number: int) -> bool:
    with socket.socket(fileno=os.dup(number)) as connection:
        return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _shut(number: int) -> None:
    """End the connection of a file descriptor, which stays its owner's to close."""
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
