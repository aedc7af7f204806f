"""Messages as they come, in groups worth a transaction."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from postroom.core.ports import FetchedMessage

MESSAGES = 50
BYTES = 4 * 1024 * 1024
COALESCE_SECONDS = 0.05


async def batches(messages: AsyncIterator[FetchedMessage]) -> AsyncGenerator[list[FetchedMessage], None]:
    """Messages in groups of bounded number and size, in their order, none held back for long.

    The next message is awaited while a group is worked on. What came before a fault is given out before the
    fault is raised: a server that breaks off after every tenth message is read to its end all the same. To
    be closed by its user (contextlib.aclosing).
    """
    ahead = _Ahead(messages)
    try:
        while (first := await ahead.next()) is not None:
            yield [first, *await ahead.more(first.size)]
    finally:
        await ahead.close()


class _Ahead:
    """A stream whose next message is asked for before it is wanted."""

    def __init__(self, messages: AsyncIterator[FetchedMessage]) -> None:
        self._messages = messages
        self._coming = self._ask()

    async def next(self) -> FetchedMessage | None:
        """The next message, None at the end. Raises what the stream raises."""
        message = await self._coming
        if message is not None:
            self._coming = self._ask()
        return message

    async def more(self, size: int) -> list[FetchedMessage]:
        """What else comes within a moment, beside a message of this size; faults are left for `next`."""
        found: list[FetchedMessage] = []
        loop = asyncio.get_running_loop()
        ends = loop.time() + COALESCE_SECONDS
        while len(found) < MESSAGES - 1 and size < BYTES:
            await asyncio.wait({self._coming}, timeout=max(ends - loop.time(), 0.0))
            message = self._there()
            if message is None:
                break
            self._coming = self._ask()
            found.append(message)
            size += message.size
        return found

    async def close(self) -> None:
        """Ask for nothing more."""
        self._coming.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await self._coming

    def _ask(self) -> "asyncio.Task[FetchedMessage | None]":
        return asyncio.ensure_future(_next(self._messages))

    def _there(self) -> FetchedMessage | None:
        coming = self._coming
        if not coming.done() or coming.cancelled() or coming.exception() is not None:
            return None
        return coming.result()


async def _next(messages: AsyncIterator[FetchedMessage]) -> FetchedMessage | None:
    return await anext(messages, None)
