"""What the server says by itself, kept small, and the wait for it (RFC 2177)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from postroom.imap.exchange import Exchange, Untagged
from postroom.imap.responses import Condition, Data


@dataclass(frozen=True, slots=True)
class Changes:
    """What was announced since the last look. False when nothing was.

    `exists` is the number of messages last announced (a message that arrived shows here), `expunged` and
    `flagged` count announcements, `alerts` are the last few texts that a person should see.
    """

    exists: int | None = None
    expunged: int = 0
    flagged: int = 0
    alerts: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING: Final = Changes()
_ALERTS_KEPT: Final = 4
_ALERT_LENGTH: Final = 500
_HOUR: Final = 3600.0


class ChangeLog:
    """A connection.Listener that sums up what it hears, in constant memory."""

    __slots__ = ("_changes", "_interrupted", "_waiter")

    def __init__(self) -> None:
        self._changes = _NOTHING
        self._interrupted = False
        self._waiter: asyncio.Future[None] | None = None

    def take(self) -> Changes:
        """What was heard since the last `take`."""
        changes, self._changes = self._changes, _NOTHING
        return changes

    def heard(self, response: Untagged) -> None:
        """See connection.Listener."""
        changed = _after(self._changes, response)
        if changed is not self._changes:
            self._changes = changed
            self.wake()

    def lost(self) -> None:
        """See connection.Listener."""
        self.wake()

    def wake(self) -> None:
        """Ends a `wait` that is under way."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def interrupt(self) -> None:
        """Ends a `wait` that is under way, or the next one."""
        self._interrupted = True
        self.wake()

    async def wait(self, seconds: float) -> None:
        """Returns when something was heard, on `wake` or `interrupt`, or after `seconds`."""
        if not self._changes and not self._interrupted:
            await self._wait(seconds)
        self._interrupted = False

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self.wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None


class Idling:
    """A running IDLE; see Client.idle."""

    __slots__ = ("_exchange", "_log")

    def __init__(self, log: ChangeLog, exchange: Exchange) -> None:
        self._log = log
        self._exchange = exchange
        exchange.finished.add_done_callback(lambda _: log.wake())

    @property
    def ended(self) -> bool:
        """Whether the server has ended it; time to leave."""
        return self._exchange.finished.done()

    async def wait(self, seconds: float) -> Changes:
        """What was announced, at once when it is; no changes after `seconds`, `interrupt`, or when `ended`.

        Raises why the connection ended.
        """
        if not self.ended:
            await self._log.wait(seconds)
        if self.ended:
            self._exchange.finished.result()
        return self._log.take()

    def interrupt(self) -> None:
        """Ends a `wait` in another task, or the next one at its start."""
        self._log.interrupt()

    async def __aiter__(self) -> AsyncIterator[Changes]:
        """Changes as they come, until the server ends it. Raises as `wait`."""
        while not self.ended:
            if changes := await self.wait(_HOUR):
                yield changes


def _after(known: Changes, response: Untagged) -> Changes:
    if isinstance(response, Condition):
        if response.code is None or response.code.name != "ALERT":
            return known
        return replace(known, alerts=(*known.alerts, response.text[:_ALERT_LENGTH])[-_ALERTS_KEPT:])
    if not isinstance(response, Data):
        return known
    if response.name == "EXISTS":
        return replace(known, exists=response.number)
    if response.name in {"EXPUNGE", "VANISHED"}:
        return replace(known, expunged=known.expunged + 1)
    if response.name == "FETCH":
        return replace(known, flagged=known.flagged + 1)
    return known
