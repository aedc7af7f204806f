"""Responses out of one connection, no faster than they are taken.

What arrives is handled in the loop's callback, for a few milliseconds at a time, so that one talkative server
does not hold up the others. An idle link holds no buffer.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from postroom.imap.errors import ImapError, ImapLiteralTooLarge, ImapProtocolError
from postroom.imap.pipe import Pipe
from postroom.imap.responses import Response
from postroom.imap.wire import Limits, LiteralTooLarge, ResponseReader, WireError

SLICE_SECONDS: Final = 0.005
"""How long one link handles responses before others get their turn."""

ErrorMaker: TypeAlias = Callable[[], ImapError]


class Receiver(Protocol):
    """Who takes what a link brings. All methods return at once."""

    def received(self, response: Response) -> None:
        """The next response. Raises ImapProtocolError to have the link ended."""
        ...

    def farewell(self) -> ErrorMaker:
        """What it means that the peer closes now."""
        ...

    def ended(self, error: ErrorMaker) -> None:
        """Nothing more will come. Called once; `error` makes a new exception for each who waits."""
        ...


class Link:
    """One connection as a source of responses. Reading can be paused, writing waits for a slow peer."""

    __slots__ = ("_limits", "_loop", "_pauses", "_reader", "_receiver", "error", "pipe")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, receiver: Receiver) -> None:
        self._loop = loop
        self._limits = limits
        self._receiver = receiver
        self._reader = ResponseReader(limits)
        self._pauses = 0
        self.pipe = Pipe(loop, self)
        self.error: ErrorMaker | None = None

    @property
    def unread(self) -> int:
        """Bytes that arrived and are part of no response handed over."""
        return self._reader.pending

    def allow_literals(self, cap: int) -> None:
        """How many bytes of literals one response may bring, at least what the limits say."""
        self._reader.allow_literals(max(cap, self._limits.literal))

    def write(self, data: bytes) -> None:
        """Sends a little; nothing happens on a link that has ended."""
        if self.error is None:
            self.pipe.write(data)

    async def write_all(self, data: bytes) -> None:
        """Sends as fast as the peer takes it."""
        if self.error is None:
            await self.pipe.write_all(data)

    def pause(self) -> None:
        """Nothing more is read or handed over, until `resume` as often."""
        self._pauses += 1
        if self._pauses == 1:
            self.pipe.pause()

    def resume(self) -> None:
        """Takes back one `pause`."""
        self._pauses -= 1
        if not self._pauses and self.error is None:
            self.pipe.resume()
            self._hand_over(self._slice)

    def secure(self, context: ssl.SSLContext, server_hostname: str) -> asyncio.Future[None]:
        """Begins TLS, see Pipe.secure; whatever was heard before is forgotten."""
        self._reader = ResponseReader(self._limits)
        secured = self.pipe.secure(context, server_hostname)
        if self._pauses:
            self._pauses = 0
            self.pipe.resume()
        return secured

    def end(self, error: ErrorMaker) -> None:
        """Ends the link at once, for this reason; only the first one counts."""
        if self.error is not None:
            return
        self.error = error
        self.pipe.abort()
        self._receiver.ended(error)

    # --- what the pipe tells ----------------------------------------------------------------------

    def arrived(self, data: bytes) -> None:
        """See pipe.Taker."""
        if self.error is None:
            self._reader.feed(data)
            if not self._pauses:
                self._hand_over(self._slice)

    def lost(self) -> None:
        """See pipe.Taker."""
        if self.error is None:
            self._hand_over(self._rest)
        self.end(self._receiver.farewell())

    def _hand_over(self, portion: Callable[[], None]) -> None:
        try:
            portion()
        except LiteralTooLarge as exc:
            size, cap = exc.size, exc.cap
            self.end(lambda: ImapLiteralTooLarge(size, cap))
        except (WireError, ImapProtocolError):
            self.end(ImapProtocolError)

    def _slice(self) -> None:
        until = self._loop.time() + SLICE_SECONDS
        for response in self._reader:
            self._receiver.received(response)
            if self._pauses or self.error is not None:
                return
            if self._loop.time() > until:
                self.pause()
                self._loop.call_soon(self.resume)
                return

    def _rest(self) -> None:
        for response in self._reader:
            self._receiver.received(response)
            if self.error is not None:
                return
