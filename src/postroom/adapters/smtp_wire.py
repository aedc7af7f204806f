"""The protocol end of an SMTP connection: aiosmtplib's, which also says what came unasked, and drains."""

import asyncio

from aiosmtplib.protocol import SMTPProtocol


class SmtpWire(SMTPProtocol):
    """aiosmtplib's protocol, with four things it does not tell by itself.

    `spoke_unasked`: bytes came while no reply was awaited, such as the 421 of a server that gives up on an
    idle client. `answered`: the reply is there although nobody waits for it yet. `drained`: room to write
    again (`has_room`). `gone`: the socket is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.spoke_unasked = False
        self._plain: bytearray | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._gone = asyncio.Event()

    # --- what asyncio calls -----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if not self._response_pending:
            self.spoke_unasked = True
        if self._plain is not None:
            self._plain += data
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._room.clear()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._room.set()
        self._gone.set()

    # --- what the connection asks -----------------------------------------------------------------

    def watch_plain_text(self) -> None:
        """From now on remember what is received, until `only_a_reply` is asked."""
        self._plain = bytearray()

    def only_a_reply(self) -> bool:
        """Whether nothing but one reply was received since `watch_plain_text` (RFC 3207 section 6)."""
        lines = bytes(self._plain or b"").split(b"\n")
        self._plain = None
        last = next((place for place, line in enumerate(lines) if line[3:4] != b"-"), len(lines))
        return not any(lines[last + 1 :])

    def await_reply(self) -> None:
        """A reply may come from now on, while we are still writing."""
        self._response_pending = True

    @property
    def answered(self) -> bool:
        """Whether a reply, or the end of the connection, came since `await_reply`."""
        return self._response_waiter is None or self._response_waiter.done()

    @property
    def has_room(self) -> bool:
        """Whether more may be written without filling the memory; also when there is nobody to write to."""
        return self._room.is_set()

    async def drained(self) -> None:
        """Return when there is room."""
        await self._room.wait()

    async def gone(self) -> None:
        """Return when the connection has ended."""
        await self._gone.wait()
