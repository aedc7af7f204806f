"""The bytes of one connection: socket or TLS below, responses above, and no faster than they are taken.

An asyncio.Protocol without tasks. What arrives is handled in the loop's callback, for a few milliseconds at a
time so that one talkative server does not hold up the others. An idle link holds no buffer.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from postroom.imap.errors import ImapClosed, ImapError, ImapLiteralTooLarge, ImapProtocolError
from postroom.imap.responses import Response
from postroom.imap.wire import Limits, LiteralTooLarge, ResponseReader, WireError

SLICE_SECONDS: Final = 0.005
"""How long one link handles responses before others get their turn."""

WRITE_SLICE: Final = 1 << 16
TLS_SHUTDOWN_SECONDS: Final = 2.0

ErrorMaker: TypeAlias = Callable[[], ImapError]


class Receiver(Protocol):
    """Who takes what a link brings. Both methods return at once."""

    def received(self, response: Response) -> None:
        """The next response. Raises ImapProtocolError to have the link ended."""
        ...

    def ended(self, error: ErrorMaker) -> None:
        """Nothing more will come. Called once; `error` makes a new exception for each who waits."""
        ...


class Link(asyncio.Protocol):
    """The transport's side of a connection. Reading can be paused, writing waits for a slow peer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, receiver: Receiver) -> None:
        self._loop = loop
        self._limits = limits
        self._receiver = receiver
        self._reader = ResponseReader(limits)
        self._transport: asyncio.Transport | None = None
        self._drained: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None
        self._pauses = 0
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
        if self.error is None and self._transport is not None:
            self._transport.write(data)

    async def write_all(self, data: bytes) -> None:
        """Sends as fast as the peer takes it."""
        for start in range(0, len(data), WRITE_SLICE):
            self.write(data[start : start + WRITE_SLICE])
            if self._drained is not None:
                await self._drained

    def pause(self) -> None:
        """Nothing more is read or handed over, until `resume` as often."""
        self._pauses += 1
        if self._pauses == 1 and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Takes back one `pause`."""
        self._pauses -= 1
        if self._pauses or self.error is not None or self._transport is None:
            return
        self._transport.resume_reading()
        self._hand_over(self._slice)

    async def secure(self, context: ssl.SSLContext, server_hostname: str, seconds: float) -> None:
        """Goes on in TLS; what was heard before is forgotten. Reading is paused before and resumed after.

        Raises ssl.SSLError and OSError as asyncio does.
        """
        assert self._transport is not None
        plain, self._transport = self._transport, None
        try:
            self._transport = await self._loop.start_tls(
                plain,
                self,
                context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
            )
        finally:
            if self._transport is None:
                plain.abort()
        self._reader = ResponseReader(self._limits)
        self._pauses = 0

    def end(self, error: ErrorMaker) -> None:
        """Ends the link at once, for this reason; only the first one counts."""
        if self.error is not None:
            return
        self.error = error
        self.resume_writing()
        self._receiver.ended(error)
        if self._transport is not None:
            self._transport.abort()

    async def gone(self) -> None:
        """Returns when the socket of an ended link is closed."""
        if self._transport is not None:
            self._gone = self._gone or self._loop.create_future()
            await self._gone

    # --- what the loop tells ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports do not inherit asyncio's

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if not self._pauses and self.error is None:
            self._hand_over(self._slice)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio hands it over
        self._transport = None
        if self.error is None:
            self._hand_over(self._rest)
        self.end(ImapClosed)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # --- handing over -----------------------------------------------------------------------------

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
