"""Lines and literals out of chunks of bytes, in linear time and without a byte kept that nobody waits for."""

from io import BytesIO
from typing import Final

_HEAD: Final = 32


class Assembler:
    """Takes chunks as they arrive; gives a line, or a literal of a known size, when all of it is there.

    The caller says what comes next. Chunks may be cut anywhere; the work is linear in the bytes pushed, even
    one at a time, because an unfinished line grows in a bytearray and an unfinished literal in a BytesIO.
    """

    __slots__ = ("_buffer", "_literal", "_missing", "_position", "_tail")

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        self._tail: bytearray | None = None
        self._literal: BytesIO | None = None
        self._missing = 0

    def push(self, data: bytes) -> None:
        """Takes the next chunk."""
        if self._position < len(self._buffer):
            data = self._buffer[self._position :] + data
        self._buffer, self._position = data, 0

    @property
    def pending(self) -> int:
        """Bytes taken and not given out."""
        literal = self._literal.tell() if self._literal else 0
        return len(self._buffer) - self._position + self.tail_length + literal

    @property
    def tail_length(self) -> int:
        """Length of the line that has no end yet."""
        return len(self._tail) if self._tail else 0

    @property
    def tail_head(self) -> bytes:
        """How the line that has no end yet begins, enough to know its kind."""
        return bytes(self._tail[:_HEAD]) if self._tail else b""

    def line(self) -> bytes | None:
        """The next line without its end (CRLF, or LF alone), None when it is not all there."""
        end = self._buffer.find(b"\n", self._position)
        if end < 0:
            self._keep_tail()
            return None
        line = self._buffer[self._position : end]
        self._advance(end + 1)
        if self._tail is not None:
            self._tail += line
            line, self._tail = bytes(self._tail), None
        return line[:-1] if line.endswith(b"\r") else line

    def start_literal(self, size: int) -> None:
        """Says that the next `size` bytes are a literal; `literal` gives them."""
        self._missing = size

    def literal(self) -> bytes | None:
        """The literal that was started, None when it is not all there."""
        start, available = self._position, len(self._buffer) - self._position
        if self._literal is None and available >= self._missing:
            found = self._buffer[start : start + self._missing]
            self._advance(start + self._missing)
            return found
        return self._collect(min(available, self._missing))

    def _collect(self, count: int) -> bytes | None:
        if self._literal is None:
            self._literal = BytesIO()
        self._literal.write(memoryview(self._buffer)[self._position : self._position + count])
        self._advance(self._position + count)
        self._missing -= count
        if self._missing:
            return None
        found, self._literal = self._literal.getvalue(), None
        return found

    def _keep_tail(self) -> None:
        if self._position == len(self._buffer):
            return
        if self._tail is None:
            self._tail = bytearray()
        self._tail += memoryview(self._buffer)[self._position :]
        self._advance(len(self._buffer))

    def _advance(self, position: int) -> None:
        if position == len(self._buffer):
            self._buffer, self._position = b"", 0
        else:
            self._position = position
