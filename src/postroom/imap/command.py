"""Commands of a client, built purely (RFC 9051 section 6): what goes bare, what is quoted, what is a literal.

Nothing a caller hands in can end a line: CR, LF and NUL are refused everywhere but in message bytes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Final, TypeAlias

from postroom.imap.errors import ImapInvalidArgument

SMALL_LITERAL: Final = 4096
"""The most that LITERAL- sends without asking (RFC 7888 section 5)."""

_EAGER_LITERAL: Final = 1 << 16
_QUOTABLE_LENGTH: Final = 1024
_ATOM: Final = re.compile(r"[A-Za-z0-9!#$&'+,./:;<=>?@\[\]^_`|}~\\*-]+")
_FLAG: Final = re.compile(r"\\?[A-Za-z0-9!#$&'+,./:;<=>?@^_`|}~-]+")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class LiteralMode(Enum):
    """How literals may be sent: each after a `+` of the server, small ones at once, or larger ones too."""

    SYNCHRONISING = 0
    MINUS = SMALL_LITERAL
    PLUS = _EAGER_LITERAL

    @classmethod
    def of(cls, capabilities: frozenset[str]) -> "LiteralMode":
        """What the server allows (RFC 7888). Large literals wait for `+` even so: it can still say no."""
        if "LITERAL+" in capabilities:
            return cls.PLUS
        minus = {"LITERAL-", "IMAP4REV2"} & capabilities
        return cls.MINUS if minus else cls.SYNCHRONISING


@dataclass(frozen=True, slots=True)
class Atom:
    """A word that goes as it is: a keyword, a flag, a number, a sequence set."""

    text: str


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes that go raw, behind their length."""

    data: bytes = field(repr=False)


Argument: TypeAlias = "Atom | Literal | str | bytes | Sequence[Argument]"
"""A `str` or `bytes` is quoted, or made a literal when it has to be; a sequence is a parenthesised list."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command without its tag. `name` is safe to show; `parts` are text and literals by turns and may hold
    a password, so `repr` leaves them out.
    """

    name: str
    parts: tuple[bytes | Literal, ...] = field(repr=False)

    def blocks(self, tag: str, mode: LiteralMode) -> tuple[bytes, ...]:
        """The bytes to send. After each block but the last the server's `+` has to come first."""
        blocks: list[bytes] = []
        current = bytearray(f"{tag} {self.name}".encode("ascii"))
        for part in self.parts:
            if isinstance(part, bytes):
                current += part
            elif len(part.data) <= mode.value:
                current += b"{%d+}\r\n" % len(part.data)
                current += part.data
            else:
                current += b"{%d}\r\n" % len(part.data)
                blocks.append(bytes(current))
                current = bytearray(part.data)
        current += b"\r\n"
        return (*blocks, bytes(current))


def command(name: str, *arguments: Argument) -> Command:
    """The command `name` with its arguments. Raises ImapInvalidArgument for what cannot be written."""
    text = bytearray()
    parts: list[bytes | Literal] = []
    for argument in arguments:
        text += b" "
        for piece in _pieces(argument):
            if isinstance(piece, Literal):
                parts += [bytes(text), piece]
                text.clear()
            else:
                text += piece
    return Command(name, (*parts, bytes(text)))


def flag_atom(flag: str) -> Atom:
    r"""A flag or keyword (`\Answered`, `$Forwarded`), checked."""
    if not _FLAG.fullmatch(flag):
        raise ImapInvalidArgument("not a flag")
    return Atom(flag)


def date_time(moment: datetime) -> Atom:
    """An aware datetime as INTERNALDATE is written: "02-Oct-2016 17:28:25 -0400"."""
    if moment.tzinfo is None:
        raise ImapInvalidArgument("a date without a time zone")
    month = _MONTHS[moment.month - 1]
    return Atom(f'"{moment:%d}-{month}-{moment.year:04} {moment:%H:%M:%S %z}"')


def search_day(day: date) -> Atom:
    """A day as SEARCH takes it: 2-Oct-2016."""
    return Atom(f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04}")


def _pieces(argument: Argument) -> Iterable[bytes | Literal]:
    if isinstance(argument, Atom):
        return (_checked(argument.text.encode("latin-1")),)
    if isinstance(argument, Literal):
        return (argument,)
    if isinstance(argument, str):
        return (_string(argument.encode("utf-8")),)
    if isinstance(argument, bytes):
        return (_string(argument),)
    return _list(argument)


def _list(arguments: Sequence[Argument]) -> Iterable[bytes | Literal]:
    yield b"("
    for index, argument in enumerate(arguments):
        if index:
            yield b" "
        yield from _pieces(argument)
    yield b")"


def _string(raw: bytes) -> bytes | Literal:
    _checked(raw)
    if not raw.isascii() or len(raw) > _QUOTABLE_LENGTH:
        return Literal(raw)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _checked(raw: bytes) -> bytes:
    if b"\r" in raw or b"\n" in raw or b"\0" in raw:
        raise ImapInvalidArgument("CR, LF or NUL in an argument")
    return raw
