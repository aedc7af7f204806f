"""How long a server may take, and when it has to wait for us: one timer for all commands of a connection."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from postroom.imap.errors import ImapTimeout
from postroom.imap.exchange import Exchange
from postroom.imap.link import Link


class Pace:
    """The deadlines of the commands under way, and the brake that a slow taker puts on.

    While the brake is on nothing is read and no deadline runs. It is refused, and taken off, while somebody
    waits for an answer: nobody's slowness may keep an answer from another, or from himself.
    """

    __slots__ = ("_exchanges", "_held_since", "_link", "_loop", "_release", "_timer", "_waiters")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, link: Link, exchanges: Mapping[str, Exchange]
    ) -> None:
        self._loop = loop
        self._link = link
        self._exchanges = exchanges
        self._timer: asyncio.TimerHandle | None = None
        self._release: Callable[[], None] | None = None
        self._held_since = 0.0
        self._waiters = 0

    def expect(self, exchange: Exchange, seconds: float) -> None:
        """From now, something of the command's has to come within `seconds`, else the link ends."""
        exchange.expires = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > exchange.expires:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self._link.error is None:
            self._timer = self._loop.call_at(exchange.expires, self._check)

    def stop(self) -> None:
        """No deadline runs any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Somebody waits for an answer."""
        self.wait_begins()
        try:
            yield
        finally:
            self.wait_ends()

    def wait_begins(self) -> None:
        """See `waiting`."""
        self._waiters += 1
        if self._release is not None:
            self._release()

    def wait_ends(self) -> None:
        """See `waiting`."""
        self._waiters -= 1

    def hold(self, release: Callable[[], None]) -> bool:
        """Puts the brake on, until `go_on`; False when it is refused.

        `release` is called when somebody begins to wait; it has to call `go_on`.
        """
        if self._waiters:
            return False
        self._release = release
        self._held_since = self._loop.time()
        self._link.pause()
        return True

    def go_on(self) -> None:
        """Takes the brake off."""
        self._release = None
        for exchange in self._exchanges.values():
            if exchange.expires is not None:
                self.expect(exchange, exchange.expires - self._held_since)
        self._link.resume()

    def _check(self) -> None:
        self._timer = None
        if self._release is not None:
            return
        due = [each.expires for each in self._exchanges.values() if each.expires is not None]
        if due and min(due) <= self._loop.time():
            self._link.end(ImapTimeout)
        elif due:
            self._timer = self._loop.call_at(min(due), self._check)
