"""Bytes to responses, and bytes to commands, without I/O.

Both directions of IMAP are lines with literals in them (RFC 9051 section 4.3, RFC 7888): `{5}` or `{5+}` at
the end of a line announces five raw bytes, and the line goes on after them. `ResponseReader` reads what a
server says, `CommandReader` what a client says. The result does not depend on how the bytes were cut.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from postroom.imap.assembler import Assembler
from postroom.imap.responses import Parts, Response, read_response
from postroom.imap.tokens import TooDeep, Value, read_values

MAX_LITERALS: Final = 1_000
"""Literals in one response; a FETCH of ours brings two."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one response (or command) is taken, in bytes.

    `line` bounds its text, `number_line` the text of SEARCH, SORT, ESEARCH and VANISHED, which grow with the
    mailbox (1,000,000 UIDs are 8 MB), `literal` all its literals together.
    """

    line: int = 1 << 20
    number_line: int = 16 << 20
    literal: int = 1 << 16


class WireError(ValueError):
    """The peer goes beyond a limit. Nothing after this can be read: the connection has to end."""


class LineTooLong(WireError):
    """A line without an end in sight."""


class NestedTooDeep(WireError):
    """More structure than anything asked for can have."""


class LiteralTooLarge(WireError):
    """A literal of `size` bytes was announced where `cap` are taken. None of it has been buffered."""

    def __init__(self, size: int, cap: int) -> None:
        super().__init__("literal too large")
        self.size = size
        self.cap = cap


@dataclass(frozen=True, slots=True)
class LiteralAnnounced:
    """The peer is about to send `size` raw bytes; `waits`: not before it has been told to go on (`{5}`)."""

    size: int
    waits: bool


_LITERAL: Final = re.compile(rb"~?\{(\d{1,20})([+-]?)\}$")
_STATUS_LINE: Final = re.compile(rb"(?:\+|\S+ +(?i:OK|NO|BAD|BYE|PREAUTH)\b)")
_NUMBER_LINE: Final = re.compile(rb"\* +(?i:SEARCH|SORT|ESEARCH|VANISHED)\b")


class _Gatherer:
    """One response or command at a time out of the bytes, held to the limits."""

    __slots__ = (
        "_assembler",
        "_in_literal",
        "_literal_used",
        "_parts",
        "_text_used",
        "limits",
        "literal_cap",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.literal_cap = limits.literal
        self._assembler = Assembler()
        self.forget()

    def push(self, data: bytes) -> None:
        self._assembler.push(data)

    def forget(self) -> None:
        """Drops what was begun; the next line begins anew."""
        self._parts: list[bytes] = []
        self._text_used = self._literal_used = 0
        self._in_literal = False

    @property
    def pending(self) -> int:
        return self._assembler.pending + self._text_used + self._literal_used

    def next_unit(self) -> Parts | LiteralAnnounced | None:
        """Something complete, or the literal that comes next in it, or None: more bytes are needed."""
        if self._in_literal and not self._take_literal():
            return None
        line = self._assembler.line()
        if line is None:
            self._check_line(self._assembler.tail_length, self._assembler.tail_head)
            return None
        self._check_line(len(line), line)
        if line.endswith(b"}") and (announced := self._announced(line)):
            return announced
        if not self._parts:
            return (line,)
        unit = (*self._parts, line)
        self.forget()
        return unit

    def _check_line(self, length: int, head: bytes) -> None:
        used = self._text_used + length
        if used <= self.limits.line:
            return
        if used > self.limits.number_line or self._parts or not _NUMBER_LINE.match(head):
            raise LineTooLong

    def _announced(self, line: bytes) -> LiteralAnnounced | None:
        match = _LITERAL.search(line, max(0, len(line) - 32))
        if match is None or (not self._parts and _STATUS_LINE.match(line)):
            return None
        size = int(match[1])
        if self._literal_used + size > self.literal_cap:
            raise LiteralTooLarge(size, self.literal_cap)
        if len(self._parts) >= 2 * MAX_LITERALS:
            raise NestedTooDeep
        self._parts.append(line[: match.start()])
        self._text_used += match.start()
        self._literal_used += size
        self._assembler.start_literal(size)
        self._in_literal = True
        return LiteralAnnounced(size, waits=not match[2])

    def _take_literal(self) -> bool:
        literal = self._assembler.literal()
        if literal is None:
            return False
        self._parts.append(literal)
        self._in_literal = False
        return True


class ResponseReader:
    """What a server says: feed bytes, iterate for the responses that are complete.

    Iteration raises WireError where a limit is passed; the reader is of no use afterwards.
    """

    __slots__ = ("_gatherer",)

    def __init__(self, limits: Limits | None = None) -> None:
        self._gatherer = _Gatherer(limits or Limits())

    @property
    def pending(self) -> int:
        """Bytes taken that no response given out has used."""
        return self._gatherer.pending

    def allow_literals(self, cap: int) -> None:
        """How many bytes of literals one response may have from now on."""
        self._gatherer.literal_cap = cap

    def feed(self, data: bytes) -> Iterator[Response]:
        """Takes bytes as they came; gives the responses that are complete. What is not iterated now stays."""
        self._gatherer.push(data)
        return self

    def __iter__(self) -> Iterator[Response]:
        return self

    def __next__(self) -> Response:
        while (unit := self._gatherer.next_unit()) is not None:
            if isinstance(unit, tuple) and unit != (b"",):
                return _bounded_response(unit)
        raise StopIteration


def _bounded_response(parts: Parts) -> Response:
    try:
        return read_response(parts)
    except TooDeep as exc:
        raise NestedTooDeep from exc


@dataclass(frozen=True, slots=True)
class ClientCommand:
    """One line of a client. `name` is upper case, `UID` included ("UID FETCH").

    It is empty on a line of one word (`DONE`, a SASL answer), which is found in `line`. `repr` shows no more
    than the name: the rest may be a password.
    """

    tag: str = field(repr=False)
    name: str
    args: tuple[Value, ...] = field(repr=False)
    line: bytes = field(repr=False)


ClientEvent: TypeAlias = ClientCommand | LiteralAnnounced


class CommandReader:
    """What a client says, for a server: feed bytes, iterate for commands and for the literals they announce.

    A server answers a LiteralAnnounced that `waits` with `+`, or refuses the command and calls `discard`.
    Iteration raises WireError where a limit is passed.
    """

    __slots__ = ("_gatherer",)

    def __init__(self, limits: Limits | None = None) -> None:
        self._gatherer = _Gatherer(limits or Limits())

    def feed(self, data: bytes) -> Iterator[ClientEvent]:
        """Takes bytes as they came; gives what is complete. What is not iterated now stays."""
        self._gatherer.push(data)
        return self

    def discard(self) -> None:
        """Drops the command whose literal was refused."""
        self._gatherer.forget()

    def __iter__(self) -> Iterator[ClientEvent]:
        return self

    def __next__(self) -> ClientEvent:
        unit = self._gatherer.next_unit()
        if unit is None:
            raise StopIteration
        return unit if isinstance(unit, LiteralAnnounced) else read_command(unit)


_COMMAND: Final = re.compile(rb"([^ ]+) +((?:[Uu][Ii][Dd] +)?[A-Za-z][A-Za-z0-9-]*)(?: +|$)")


def read_command(parts: Parts) -> ClientCommand:
    """A client's command as it was assembled. Raises NestedTooDeep."""
    line = parts[0]
    match = _COMMAND.match(line)
    if match is None:
        return ClientCommand(line.decode("latin-1"), "", (), line)
    name = " ".join(match[2].decode("ascii").upper().split())
    try:
        args = read_values(parts, match.end(), nil=frozenset())
    except TooDeep as exc:
        raise NestedTooDeep from exc
    return ClientCommand(match[1].decode("latin-1"), name, args, line)
