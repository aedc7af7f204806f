"""Values with parameters: Content-Type, Content-Disposition (RFC 2045 section 5.1, RFC 2231)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from postroom.mail import charset, comments
from postroom.mail.charset.labels import codec_of

_MAIN = re.compile(r"[\s\"';]*([^;\s\"',]*)")
_NAME = re.compile(r"[\s;,]*([^\s=;,\"]{1,100})")
_BETWEEN = re.compile(r"[^;]*?(?=;|\Z)")
_QUOTE_END = re.compile(r'(?<!\\)(?:\\\\)*"')
_ESCAPE = re.compile(r'\\(["\\])')
_SECTION = re.compile(r"(.+?)(?:\*(\d{1,3}))?(\*)?")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_LONGEST_VALUE = 65_536
_LONGEST_REMEMBERED = 100
_MOST_PARAMETERS = 100
_WHOLE = -1  # in place of a section's number: `name*=` holds all of the value


@dataclass(frozen=True, slots=True)
class Parameterised:
    """A value in lower case and its parameters by lower-case name, decoded (RFC 2231, RFC 2047)."""

    value: str
    parameters: Mapping[str, str]


_NONE = Parameterised("", MappingProxyType({}))


def parse(text: str) -> Parameterised:
    """Reads one header value. Missing semicolons and quotes are forgiven; the first of doubles wins."""
    if not text:
        return _NONE
    return _parse_short(text) if len(text) <= _LONGEST_REMEMBERED else _parse(text[:_LONGEST_VALUE])


@lru_cache(maxsize=512)
def _parse_short(text: str) -> Parameterised:
    """The same few values stand in most mail, so what was read of them is remembered."""
    return _parse(text)


def _parse(text: str) -> Parameterised:
    text = comments.without_leading(text) if "(" in text else text
    main = _MAIN.match(text)
    position = main.end() if main else 0
    pairs: list[tuple[str, str]] = []
    while len(pairs) < _MOST_PARAMETERS and (found := _next_pair(text, position)):
        name, value, position = found
        if value is not None:
            pairs.append((name, value))
    return Parameterised(main[1].lower() if main else "", MappingProxyType(_joined(pairs)))


def _next_pair(text: str, position: int) -> tuple[str, str | None, int] | None:
    """The next `name=value` after `position` and where it ends; value None for a name that has none."""
    match = _NAME.match(text, position)
    if match is None:
        position = _skip(text, position)
        return None if position >= len(text) else ("", None, position)
    start = match.end()
    while start < len(text) and text[start].isspace():
        start += 1
    if text[start : start + 1] != "=":
        return "", None, max(start, match.end())
    value, end = _value(text, start + 1)
    return match[1].lower(), value, end


def _skip(text: str, position: int) -> int:
    while position < len(text) and (text[position].isspace() or text[position] in ';,="'):
        position += 1
    return position


def _value(text: str, start: int) -> tuple[str, int]:
    while start < len(text) and text[start].isspace():
        start += 1
    if text[start : start + 1] == '"':
        closing = _QUOTE_END.search(text, start + 1)
        if closing:
            return _ESCAPE.sub(r"\1", text[start + 1 : closing.end() - 1]), closing.end()
        start += 1
    semicolon = text.find(";", start)
    end = len(text) if semicolon < 0 else semicolon
    return _bare(text, start, end)


def _bare(text: str, start: int, end: int) -> tuple[str, int]:
    """An unquoted value up to `;`, spaces and all, unless what follows a space is the next parameter."""
    words = text[start:end].split(" ")
    taken = start + len(words[0])
    for word in words[1:]:
        if "=" in word and not word.startswith("=?") and word.split("=", 1)[0].strip("*0123456789").isalpha():
            break
        taken += 1 + len(word)
    return text[start:taken].strip().strip('"'), taken


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Continuations put together in order of their numbers, extended values decoded (RFC 2231)."""
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, value in pairs:
        match = _SECTION.fullmatch(name) if "*" in name else None
        if match is None:
            plain.setdefault(name, value)
        else:
            number = int(match[2]) if match[2] else _WHOLE
            sections.setdefault(match[1], {}).setdefault(number, (value, bool(match[3])))
    joined = {name: charset.decode_value(value) for name, value in plain.items()}
    for name, numbered in sections.items():
        if _WHOLE in numbered:
            joined[name] = _decode_sections([numbered[_WHOLE]])
        elif 0 in numbered or name not in joined:
            joined[name] = _decode_sections([numbered[number] for number in sorted(numbered)])
    return joined


def _decode_sections(sections: list[tuple[str, bool]]) -> str:
    label = ""
    data: list[bytes] = []
    for index, (value, extended) in enumerate(sections):
        if index == 0 and extended:
            label, value = _label_and_value(value)
        raw = value.encode("utf-8", "replace")
        data.append(_PERCENT.sub(lambda code: bytes([int(code[1], 16)]), raw) if extended else raw)
    text = charset.decode(b"".join(data), label)[0]
    return charset.decode_value(text)


def _label_and_value(value: str) -> tuple[str, str]:
    """`charset'language'value`, where some programs leave out the language and its quote."""
    pieces = value.split("'", 2)
    if len(pieces) == 3 or (len(pieces) == 2 and codec_of(pieces[0]) != codec_of("")):
        return pieces[0], pieces[-1]
    return "", value
