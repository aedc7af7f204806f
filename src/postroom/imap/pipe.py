"""Plain bytes over a socket, in clear text at first or in TLS: what a `link.Link` stands on.

An asyncio.Protocol without tasks and without buffers of its own.
"""

import asyncio
import ssl
from typing import Final, Protocol

from postroom.imap.tls import TlsCodec

WRITE_SLICE: Final = 1 << 16


class Taker(Protocol):
    """Who takes what a pipe brings. Both methods return at once."""

    def arrived(self, data: bytes) -> None:
        """Some bytes, decrypted."""
        ...

    def lost(self) -> None:
        """The pipe has ended; said once."""
        ...


class Pipe(asyncio.Protocol):
    """The socket's side of a connection."""

    __slots__ = ("_drained", "_gone", "_loop", "_secured", "_taker", "_tls", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, taker: Taker) -> None:
        self._loop = loop
        self._taker = taker
        self._transport: asyncio.Transport | None = None
        self._tls: TlsCodec | None = None
        self._secured: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None

    def secure(self, context: ssl.SSLContext, server_hostname: str) -> asyncio.Future[None]:
        """Begins TLS: now, or when the socket is connected. No byte that comes from now on is clear text.

        The future is done when the peer has proved its name; it raises ssl.SSLError, or ConnectionError when
        the pipe ended first.
        """
        self._tls = TlsCodec(context, server_hostname)
        self._secured = self._loop.create_future()
        if self._transport is not None:
            self._greet()
        return self._secured

    def write(self, data: bytes) -> None:
        """Sends; nothing happens when the pipe has ended."""
        if self._transport is None:
            return
        try:
            self._transport.write(data if self._tls is None else self._tls.encrypt(data))
        except ssl.SSLError as exc:
            self._fail(exc)

    async def write_all(self, data: bytes) -> None:
        """Sends as fast as the peer takes it."""
        for start in range(0, len(data), WRITE_SLICE):
            self.write(data[start : start + WRITE_SLICE])
            if self._drained is not None:
                await self._drained

    def pause(self) -> None:
        """Reads nothing more from the socket."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads on."""
        if self._transport is not None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Ends the pipe at once."""
        if self._transport is not None:
            self._transport.abort()
        self._release_waiters()

    async def gone(self) -> None:
        """Returns when the socket is closed."""
        if self._transport is not None:
            self._gone = self._gone or self._loop.create_future()
            await self._gone

    # --- what the loop tells ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are no asyncio.Transport
        if self._tls is not None:
            self._greet()

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            self._taker.arrived(data)
            return
        try:
            plain = self._tls.decrypt(data)
        except ssl.SSLError as exc:
            self._fail(exc)
            return
        self._after_tls(self._tls, plain)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason is the taker's to find
        self._transport = None
        self._release_waiters()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        self._taker.lost()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # --- TLS --------------------------------------------------------------------------------------

    def _greet(self) -> None:
        assert self._tls is not None
        self._tls.handshake()
        self._flush(self._tls)

    def _after_tls(self, tls: TlsCodec, plain: bytes) -> None:
        self._flush(tls)
        if tls.established and self._secured is not None:
            if not self._secured.done():
                self._secured.set_result(None)
            self._secured = None
        if plain:
            self._taker.arrived(plain)
        if tls.closed:
            self.abort()

    def _fail(self, error: ssl.SSLError) -> None:
        if self._secured is not None and not self._secured.done():
            self._secured.set_exception(error)
        if self._tls is not None:
            self._flush(self._tls)  # the alert that says why
        if self._transport is not None:
            self._transport.close()

    def _flush(self, tls: TlsCodec) -> None:
        if (data := tls.outgoing()) and self._transport is not None:
            self._transport.write(data)

    def _release_waiters(self) -> None:
        self.resume_writing()
        if self._secured is not None and not self._secured.done():
            self._secured.set_exception(ConnectionResetError("the connection ended in the TLS handshake"))
            self._secured.exception()  # nobody may be waiting for it
