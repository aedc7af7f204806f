"""The protocol end of an SMTP connection: aiosmtplib's, which also says what came unasked, and drains."""

import asyncio
from collections import deque
from typing import Final

from aiosmtplib import SMTPException, SMTPResponseException, SMTPServerDisconnected, SMTPStatus
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

_LONGEST_REPLY: Final = 32_768


class SmtpWire(SMTPProtocol):
    """aiosmtplib's protocol, with five things it does not do by itself.

    `spoke_unasked`: bytes came while no reply was awaited, such as the 421 of a server that gives up on an
    idle client. `answered`: the reply is there although nobody waits for it yet. `drained`: room to write
    again (`has_room`). `gone`: the socket is closed. `expect`: several replies to what is written at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.spoke_unasked = False
        self._expected = 0
        self._replies: deque[SMTPResponse | SMTPException] = deque()
        self._heard = asyncio.Event()
        self._plain: bytearray | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._gone = asyncio.Event()

    # --- what asyncio calls -----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if not (self._response_pending or self._expected):
            self.spoke_unasked = True
        if self._plain is not None:
            self._plain += data
        if self._expected:
            self._take(data)
        else:
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
        self._heard.set()

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

    def expect(self, replies: int) -> None:
        """So many replies come to what is written next; each is given by `next_reply`."""
        self._expected = replies

    async def next_reply(self) -> SMTPResponse:
        """The next of the replies expected. Raises `SMTPException` when it is no reply, or none will come."""
        while not self._replies:
            if self._gone.is_set() or not self._expected:
                raise SMTPServerDisconnected("Connection lost")
            self._heard.clear()
            await self._heard.wait()
        reply = self._replies.popleft()
        if isinstance(reply, SMTPException):
            raise reply
        return reply

    def _take(self, data: bytes) -> None:
        """Cut the replies out of what came."""
        self._buffer.extend(data)
        try:
            while self._expected and (reply := self._read_response_from_buffer()) is not None:
                self._replies.append(reply)
                self._expected -= 1
            if len(self._buffer) > _LONGEST_REPLY:
                raise SMTPResponseException(SMTPStatus.invalid_response, "the reply does not end")
        except SMTPException as exc:
            self._replies.append(exc)
            self._expected = 0
        if not self._expected and self._buffer:
            self.spoke_unasked = True
            self._buffer.clear()
        self._heard.set()

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
