"""The values of IMAP (RFC 9051 section 4): atoms, strings, literals, lists and NIL, in assembled lines.

An atom or a number is a `str` (latin-1, so that no byte is lost), a quoted string or literal is `bytes`,
NIL is None, a parenthesised list is a tuple. That keeps `NIL` and `"NIL"`, `5` and `"5"` apart.
"""

import re
from typing import Final, TypeAlias

Value: TypeAlias = "str | bytes | tuple[Value, ...] | None"

MAX_DEPTH: Final = 64
"""Parentheses in parentheses. A BODYSTRUCTURE nests two levels a multipart; nothing we ask for comes near."""

MAX_TOKENS: Final = 20_000
"""Values in one response; lists of numbers (SEARCH) are not read by this tokenizer."""

_MAX_DIGITS: Final = 20

_TOKEN: Final = re.compile(
    r"((?i:BODY|BINARY)(?:\.[A-Za-z]+)?\[[^\[\]]*+\](?:<[0-9.]+>)?|[^ ()\"]+)"  # 1: atom, fetch section
    r'|"([^"\\]*+)"'  # 2: quoted
    r"|(\()"  # 3
    r"|(\))"  # 4
    r'|"((?:[^"\\]++|\\.)*+)"'  # 5: quoted with escapes
    r'|"([^ ].*|)',  # 6: a quote that is never closed
    re.DOTALL,
)
_ATOM, _QUOTED, _OPEN, _CLOSE, _ESCAPED, _UNCLOSED = 1, 2, 3, 4, 5, 6
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
NIL_WORDS: Final = frozenset({"NIL", "nil", "Nil"})


class TooDeep(ValueError):
    """More than MAX_DEPTH lists in lists, or more than MAX_TOKENS values."""


def read_values(
    parts: tuple[bytes, ...], start: int = 0, nil: frozenset[str] = NIL_WORDS
) -> tuple[Value, ...]:
    """The values in `parts`: text, literal, text, literal, …, text, from `start` in the first text.

    `nil` are the atoms that mean NIL (none in a client's command, where NIL may be a name). Never fails on
    odd grammar: missing spaces, parentheses too many or too few and a quote without an end are read as the
    nearest thing that makes sense. Raises TooDeep beyond the limits above.
    """
    reader = _Reader(nil)
    for index, part in enumerate(parts):
        if index & 1:
            reader.values.append(part)
        else:
            reader.read_text(part.decode("latin-1"), start if index == 0 else 0)
    return reader.finish()


def as_bytes(value: Value) -> bytes:
    """An astring as its bytes; empty for NIL and lists."""
    if isinstance(value, str):
        return value.encode("latin-1")
    return value if isinstance(value, bytes) else b""


def as_text(value: Value) -> str:
    """An astring as text; empty for NIL and lists."""
    return as_bytes(value).decode("utf-8", "replace")


def as_number(value: Value) -> int | None:
    """A number, quoted or not; None for everything else."""
    raw = as_bytes(value)
    return int(raw) if len(raw) <= _MAX_DIGITS and raw.isdigit() else None


class _Reader:
    """The list being filled, and the unfinished ones around it."""

    __slots__ = ("_nil", "_outer", "_room", "values")

    def __init__(self, nil: frozenset[str]) -> None:
        self._nil = nil
        self.values: list[Value] = []
        self._outer: list[list[Value]] = []
        self._room = MAX_TOKENS

    def read_text(self, text: str, start: int) -> None:
        values, nil = self.values, self._nil
        count = 0
        for match in _TOKEN.finditer(text, start):
            count += 1
            kind = match.lastindex
            if kind == _ATOM:
                atom = match[1]
                values.append(None if atom in nil else atom)
            elif kind == _QUOTED:
                values.append(match[2].encode("latin-1"))
            elif kind == _OPEN:
                values = self._open(values)
            elif kind == _CLOSE:
                values = self._close(values)
            elif kind == _ESCAPED:
                values.append(_ESCAPE.sub(r"\1", match[5]).encode("latin-1"))
            else:
                values.append((match[6] or "").encode("latin-1"))
            if count > self._room:
                raise TooDeep
        self._room -= count
        self.values = values

    def finish(self) -> tuple[Value, ...]:
        values = self.values
        while self._outer:
            values = self._close(values)
        return tuple(values)

    def _open(self, values: list[Value]) -> list[Value]:
        if len(self._outer) == MAX_DEPTH:
            raise TooDeep
        self._outer.append(values)
        return []

    def _close(self, values: list[Value]) -> list[Value]:
        if not self._outer:
            return values
        outer = self._outer.pop()
        outer.append(tuple(values))
        return outer
