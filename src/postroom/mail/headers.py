"""Header blocks: bytes to fields (RFC 5322 section 2.2), read as programs in the wild write them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from postroom.mail import charset
from postroom.mail.message import Headers

_FIELD = re.compile(rb"([!-9;-~]{1,255})[ \t]*:")
_WHOLE_FIELD = re.compile(rb"([!-9;-~]{1,255})[ \t]*:([^\n]*+\n(?:[ \t]++[^\s][^\n]*+\n)*+)(?=[!-~\r\n])")
_CERTAINLY_A_FIELD = re.compile(
    rb"(?:from|to|cc|bcc|subject|date|sender|received|references|precedence|status|list|"
    rb"[a-z0-9]+-[a-z0-9-]+)[ \t]*:",
    re.IGNORECASE,
)
_FOLD = re.compile(rb"(?<!\r)\r*+\n(?=[ \t])")
_LINE_END = re.compile(rb"[\r\n]+")
_OTHER_LINE_END = re.compile("[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_OF_ADDRESSES = re.compile(rb"[@<>]")
_NO_WORD = re.compile(rb"[^\w\s-]")
_REST_OF_ADDRESS = re.compile(rb"[^\s<>]{0,255}>[\s,;]*$")
_ADDRESS_FIELDS = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})
_EMPTY_LINES = (b"\n", b"\r\n")
_LOOK_AHEAD_LINES = 5


@dataclass(frozen=True, slots=True)
class Block:
    """A header block as it stands: raw (name, value) pairs, where the body begins, whether lines were odd."""

    fields: tuple[tuple[bytes, bytes], ...]
    body: int
    damaged: bool
    firsts: Mapping[bytes, bytes] = field(repr=False)

    def first(self, name: bytes) -> bytes:
        """The first raw value, folds and all, of the field `name` (lower case); empty when there is none."""
        return self.firsts.get(name, b"")


def read_block(raw: bytes, start: int, most: int) -> Block:
    """Reads fields from `start` until an empty line or a line that is no field. Linear.

    A block of more than `most` bytes is given up: its `body` lies more than `most` behind `start`.
    A line that is no field counts as the rest of the field before it when more fields follow
    (programs that wrap without indenting), unless it is foreign to a list of addresses that is complete;
    otherwise the body begins with it: no empty line came.
    """
    spans: list[tuple[bytes, int, int]] = []
    damaged = False
    position, end = start, len(raw)
    while position < end and position - start <= most:
        if whole := _WHOLE_FIELD.match(raw, position):
            position = whole.end()
            if position - start <= most:
                spans.append((whole[1], whole.start(2), position))
            continue
        after = raw.find(b"\n", position, end) + 1 or end
        line = raw[position:after]
        if line in _EMPTY_LINES or not line.strip(b"\r\n"):
            return _block(raw, spans, after, damaged)
        if line[:1] in (b" ", b"\t") and spans:
            if not line.strip() and _text_follows(raw, after, end):
                return _block(raw, spans, after, damaged=True)
            spans[-1] = (spans[-1][0], spans[-1][1], after)
        elif match := _FIELD.match(line):
            spans.append((match[1], position + match.end(), after))
        elif not spans and (match := _FIELD.match(raw, position + _indent(line), after)):
            spans.append((match[1], match.end(), after))
        elif not line.startswith(b"--") and (
            _fields_follow(raw, after, end) or (spans and _closes(raw[spans[-1][1] : spans[-1][2]], line))
        ):
            damaged = True
            if spans and not _is_foreign(spans[-1][0], raw[spans[-1][1] : spans[-1][2]], line):
                spans[-1] = (spans[-1][0], spans[-1][1], after)
        else:
            return _block(raw, spans, position, damaged=True)
        position = after
    return _block(raw, spans, position, damaged)


def _block(raw: bytes, spans: list[tuple[bytes, int, int]], body: int, damaged: bool) -> Block:
    fields = tuple([(name, raw[start:end]) for name, start, end in spans])
    return Block(fields, body, damaged, {name.lower(): value for name, value in reversed(fields)})


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip(b" \t"))


def _text_follows(raw: bytes, position: int, end: int) -> bool:
    """Whether the line at `position` is neither empty, nor a field, nor the rest of one."""
    line = raw[position : min(end, position + 300)].split(b"\n", 1)[0]
    return bool(line.strip()) and line[:1] not in (b" ", b"\t") and not _FIELD.match(line)


def _closes(value: bytes, line: bytes) -> bool:
    """Whether a value ends within an address in brackets, and the line is the rest of it."""
    inside = value.rpartition(b"<")[2]
    rest = line.strip()
    return (
        b"<" in value
        and b">" not in inside
        and b"@" in inside + rest
        and _REST_OF_ADDRESS.match(rest) is not None
    )


def _is_foreign(name: bytes, value: bytes, line: bytes) -> bool:
    """Whether a line holds nothing of an address, and the addresses before it want nothing more.

    Behind an author only plain words are foreign: no sign that could make another address of it.
    """
    name = name.lower()
    of_addresses = _NO_WORD if name == b"from" else _OF_ADDRESSES
    if name not in _ADDRESS_FIELDS or b"@" not in value or of_addresses.search(line):
        return False
    goes_on = value.rstrip().endswith((b",", b";")) or value.count(b'"') % 2 == 1
    return not (goes_on or value.rfind(b"<") > value.rfind(b">") or value.count(b"(") > value.count(b")"))


def _fields_follow(raw: bytes, position: int, end: int) -> bool:
    """Whether one of the next lines, before an empty one, is beyond doubt a header field."""
    for _ in range(_LOOK_AHEAD_LINES):
        after = raw.find(b"\n", position, end) + 1 or end
        line = raw[position : min(after, position + 300)]
        if not line.strip():
            return False
        if _CERTAINLY_A_FIELD.match(line):
            return True
        position = after
    return False


def unfold(value: bytes) -> bytes:
    """A raw value as one line: folds undone (RFC 5322 section 2.2.3), other line ends become a space."""
    value = value.strip(b" \t\r\n")
    if b"\n" in value or b"\r" in value:
        value = _LINE_END.sub(b" ", _FOLD.sub(b"", value))
    return value


def _one_line(text: str) -> str:
    """Characters that some programs take for line ends become spaces; everything else stays."""
    return text if text.isprintable() else _OTHER_LINE_END.sub(" ", text)


def to_text(block: Block, hint: str = "") -> Headers:
    """The fields as text: unfolded, bytes outside ASCII read as UTF-8, else as charset `hint`."""
    return Headers(
        tuple(
            (name.decode("ascii"), _one_line(charset.storable(charset.header_text(unfold(value), hint))))
            for name, value in block.fields
        )
    )
