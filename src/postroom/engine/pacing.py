"""Connecting at a pace that servers and this process can bear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from weakref import WeakValueDictionary

AT_ONCE = 50
AT_ONCE_PER_HOST = 25
SLOW_SECONDS = 5.0


class Starts:
    """Lets accounts connect a few at a time, in all and per host.

    Who takes longer than some seconds gives the place back meanwhile: slow servers must not keep the
    accounts of others waiting.
    """

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(AT_ONCE)
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for a place and hold it for the block, but not for long."""
        here = self._hosts.get(host) or asyncio.Semaphore(AT_ONCE_PER_HOST)
        self._hosts[host] = here
        with ExitStack() as places:
            for place in (here, self._all):
                await place.acquire()
                places.callback(_Place(place).give_back)
            yield


class _Place:
    """One place; given back once, when its time is over or when it is not needed any more."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._held = True
        self._timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._release)

    def give_back(self) -> None:
        """Not needed any more."""
        self._timer.cancel()
        self._release()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._places.release()
