"""Files that old programs put into the text itself, between `begin 644 name` and `end`."""

import binascii
import re
from dataclasses import dataclass, field

_BEGIN = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,255})\r?(?:\n|\Z)", re.MULTILINE)
_LAST_CODE = 96


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file found inside text: its name as written, and its decoded bytes."""

    name: bytes
    content: bytes = field(repr=False)


def extract(data: bytes) -> tuple[bytes, tuple[EmbeddedFile, ...]]:
    """The text without its uuencoded blocks, and those files. Linear.

    What has no `end`, or neither name nor content, stays text.
    """
    if b"begin " not in data:
        return data, ()
    kept: list[bytes] = []
    files: list[EmbeddedFile] = []
    position = 0
    while begin := _BEGIN.search(data, position):
        content, after, ended = _read_lines(data, begin.end())
        name = begin[1].strip()
        if ended and (name or content):
            kept.append(data[position : begin.start()])
            files.append(EmbeddedFile(name, content))
        else:
            kept.append(data[position:after])
        position = after
    kept.append(data[position:])
    return b"".join(kept), tuple(files)


def decode(data: bytes) -> bytes:
    """The bytes of the first block in `data`, with or without an end; `data` itself when there is none."""
    begin = _BEGIN.search(data)
    return _read_lines(data, begin.end())[0] if begin else data


def _read_lines(data: bytes, position: int) -> tuple[bytes, int, bool]:
    """Decodes lines up to the first that is none: content, where that is, and whether it said `end`.

    After `end` the place is behind it, so that the text goes on there.
    """
    content: list[bytes] = []
    while position < len(data):
        line_end = data.find(b"\n", position)
        after = len(data) if line_end < 0 else line_end + 1
        line = data[position:after].rstrip(b"\r\n")
        if line.strip() == b"end":
            return b"".join(content), after, True
        if not _is_encoded(line):
            break
        content.append(_decode_line(line))
        position = after
    return b"".join(content), position, False


def _is_encoded(line: bytes) -> bool:
    """A line begins with its own length and has no lower-case letter: prose is told apart."""
    if not line.strip(b" "):
        return True
    expected = (((line[0] - 32) & 63) + 2) // 3 * 4
    return line[0] >= 32 and max(line) <= _LAST_CODE and len(line) - 1 <= expected + 4


def _decode_line(line: bytes) -> bytes:
    """One line, read by the length that it states; trailing spaces that were cut are added again."""
    if not line:
        return b""
    expected = (((line[0] - 32) & 63) + 2) // 3 * 4
    try:
        return binascii.a2b_uu(line[: expected + 1])
    except (binascii.Error, ValueError):
        return b""
