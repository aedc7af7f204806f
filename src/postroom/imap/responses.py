"""The responses of a server (RFC 9051 section 7) as frozen values, and how one assembled response is read.

What a server says is hostile and private: `repr` shows kinds and numbers, never text or contents.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from postroom.imap.tokens import Value, as_number, read_values

Parts: TypeAlias = tuple[bytes, ...]
"""One response or command as it was assembled: text, literal, text, literal, …, text, without line ends."""


@dataclass(frozen=True, slots=True)
class ResponseCode:
    """What stands in brackets before the text of a status response: `[UIDVALIDITY 7]`, name in upper case."""

    name: str
    values: tuple[Value, ...] = field(default=(), repr=False)

    def number(self) -> int | None:
        """The first value as a number, None when it is none."""
        return as_number(self.values[0]) if self.values else None


@dataclass(frozen=True, slots=True)
class Tagged:
    """The end of a command. `status` is OK, NO or BAD."""

    tag: str
    status: str
    code: ResponseCode | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """An untagged status response. `status` is OK, NO, BAD, BYE or PREAUTH."""

    status: str
    code: ResponseCode | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Continuation:
    """`+`: the server waits for more of a command. `text` may be a base64 challenge."""

    text: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Data:
    """Untagged data: `* 5 EXISTS` has name EXISTS and number 5, `* LIST …` no number; upper case."""

    name: str
    number: int | None
    values: tuple[Value, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class NumberList:
    """`* SEARCH 2 84 …` and `* SORT …`: kept as written, because it may hold a million numbers."""

    name: str
    text: bytes = field(repr=False)

    def chunks(self, size: int = 65_536) -> Iterator[list[int]]:
        """The numbers in order, those of about `size` bytes at a time, so that a caller can pause in between.

        What is not a number (`(MODSEQ 7)` at the end, RFC 7162) is left out.
        """
        text = self.text.partition(b"(")[0]
        start = 0
        while start < len(text):
            end = text.find(b" ", start + size)
            end = len(text) if end < 0 else end
            yield [int(word) for word in text[start:end].split() if word.isdigit()]
            start = end


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is no response. It is skipped, not fatal: servers put stray lines between responses."""

    line: bytes = field(repr=False)


Response: TypeAlias = Tagged | Condition | Continuation | Data | NumberList | Malformed

_UNTAGGED: Final = re.compile(rb"\*[ ]*(?:(\d{1,20})[ ]*)?([A-Za-z][A-Za-z0-9._=-]*)[ ]*")
_TAGGED: Final = re.compile(rb"([^ +*(){%\"\\][^ (){%\"\\]*)[ ]+([A-Za-z]+)[ ]*")
_CODE: Final = re.compile(
    rb'\[((?:[^\]"(]++|"(?:[^"\\]++|\\.)*+"|\((?:[^)"]++|"(?:[^"\\]++|\\.)*+")*+\))*+)\][ ]*'
)
_PLAIN_CODE: Final = re.compile(rb"\[([^\]]*)\][ ]*")
_STATUS: Final = {word.encode(): word for word in ("OK", "NO", "BAD", "BYE", "PREAUTH")}
_COMPLETIONS: Final = frozenset({"OK", "NO", "BAD"})
_NUMBER_LISTS: Final = frozenset({"SEARCH", "SORT"})


def read_response(parts: Parts) -> Response:
    """The response that `parts` say; Malformed when they say none. Raises tokens.TooDeep beyond limits."""
    line = parts[0]
    if line.startswith(b"*"):
        return _read_untagged(parts)
    if line.startswith(b"+"):
        return Continuation(line[1:].lstrip(b" "))
    match = _TAGGED.match(line)
    status = _STATUS.get(match[2].upper()) if match else None
    if match is None or status not in _COMPLETIONS:
        return Malformed(line)
    code, text = _read_text(line[match.end() :])
    return Tagged(match[1].decode("latin-1"), status, code, text)


def _read_untagged(parts: Parts) -> Response:
    line = parts[0]
    match = _UNTAGGED.match(line)
    if match is None:
        return Malformed(line)
    number, word = match[1], match[2].upper()
    status = _STATUS.get(word)
    if status is not None:
        return Condition(status, *_read_text(line[match.end() :]))
    name = word.decode("ascii")
    if name in _NUMBER_LISTS:
        return NumberList(name, line[match.end() :])
    values = read_values(parts, match.end())
    return Data(name, None if number is None else int(number), values)


def _read_text(rest: bytes) -> tuple[ResponseCode | None, str]:
    match = (_CODE.match(rest) or _PLAIN_CODE.match(rest)) if rest.startswith(b"[") else None
    if match is None:
        return None, rest.decode("utf-8", "replace")
    return _read_code(match[1]), rest[match.end() :].decode("utf-8", "replace")


def _read_code(inner: bytes) -> ResponseCode | None:
    name, _, arguments = inner.strip().partition(b" ")
    if not name:
        return None
    return ResponseCode(name.upper().decode("latin-1"), read_values((arguments,)))
