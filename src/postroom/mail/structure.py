"""The parts of a message (RFC 2046), found in one pass over the bytes, within caps and without recursion."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from postroom.mail import charset, headers, parameters, transfer
from postroom.mail.headers import Block
from postroom.mail.parameters import Parameterised

_DASHES = re.compile(rb"^--", re.MULTILINE)
_LIKELY_DELIMITER = re.compile(rb"^--([^\r\n]{1,200}+)\r?\n(?=content-)", re.MULTILINE | re.IGNORECASE)
_TYPE = re.compile(r"[!-.0-~]+/[!-.0-~]+")
_LONGEST_LINE = 1_000
_MANY_LINES = 2_000
_FIRST_DELIMITER_WITHIN = 20_000
_MANY_LIKENESSES = 100


@dataclass(frozen=True, slots=True)
class Caps:
    """How much of a message is read. What holds more is not taken apart (`TooMuch`)."""

    depth: int = 100
    parts: int = 1_000
    recipients: int = 1_000
    header_bytes: int = 1_000_000


class TooMuch(Exception):
    """A message is over a cap. `reason`: too_deep, too_many_parts, headers_too_large, too_many_recipients."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Part:
    """One entity of a message.

    `start` and `end` bound its body in the raw bytes; `parent` is its place in the list of parts, -1
    for the root; `encoding` is the Content-Transfer-Encoding as written.
    """

    block: Block
    content_type: str
    parameters: Parameterised
    disposition: Parameterised
    encoding: str
    parent: int
    depth: int
    start: int
    end: int

    @property
    def is_multipart(self) -> bool:
        """Whether it holds parts instead of content."""
        return self.content_type.startswith("multipart/")


def read_root(raw: bytes, start: int, caps: Caps) -> Block:
    """The header block of the message; raises `TooMuch` when it is over the cap."""
    block = headers.read_block(raw, start, caps.header_bytes)
    if block.body - start > caps.header_bytes:
        raise TooMuch("headers_too_large")
    return block


def walk(raw: bytes, root: Block, caps: Caps) -> tuple[Part, ...]:
    """Every part of the message whose header block is `root`, parents before children, in order.

    A multipart in which its boundary never appears comes back as text/plain. An open multipart ends
    with the one around it, or with the message. Raises `TooMuch`.
    """
    walker = _Walker(raw, caps)
    walker.enter(root, -1)
    for start, after, level, closing in walker.delimiters(root.body):
        walker.leave(start, level, closing)
        if not closing:
            walker.enter(read_root(raw, after, caps), walker.open[level].index)
    return walker.finish()


@dataclass(slots=True)
class _Open:
    """A multipart whose closing delimiter has not come; `shadowed` had its boundary before it."""

    index: int
    boundary: bytes
    shadowed: int | None


class _Walker:
    """The state of one pass: the parts so far, where each ends, and the multiparts that are open."""

    def __init__(self, raw: bytes, caps: Caps) -> None:
        self.raw = raw
        self.caps = caps
        self.parts: list[Part] = []
        self.ends: list[int] = []
        self.open: list[_Open] = []
        self.levels: dict[bytes, int] = {}
        self.resume = 0
        self.pattern = _DASHES
        self.lines = 0
        self.hint = ""

    def enter(self, block: Block, parent: int) -> None:
        """Adds a part, and opens it when it is a multipart."""
        if len(self.parts) >= self.caps.parts:
            raise TooMuch("too_many_parts")
        depth = self.parts[parent].depth + 1 if parent >= 0 else 0
        in_digest = parent >= 0 and self.parts[parent].content_type == "multipart/digest"
        part = _read_part(block, parent, depth, "message/rfc822" if in_digest else "text/plain", self.hint)
        self.hint = self.hint or part.parameters.parameters.get("charset", "")
        self.parts.append(part)
        self.ends.append(-1)
        self.resume = block.body
        if part.is_multipart and (boundary := self._boundary(part)):
            self._push(len(self.parts) - 1, boundary)

    def _push(self, index: int, boundary: bytes) -> None:
        if len(self.open) >= self.caps.depth:
            raise TooMuch("too_deep")
        self.open.append(_Open(index, boundary, self.levels.get(boundary)))
        self.levels[boundary] = len(self.open) - 1
        self.pattern = self._delimiter_lines()

    def _boundary(self, part: Part) -> bytes:
        """The boundary as told; where it does not appear, the one that the body shows."""
        told = part.parameters.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")
        if told and self._appears(told, part.start):
            return told
        likely = _LIKELY_DELIMITER.search(self.raw, part.start, part.start + _FIRST_DELIMITER_WITHIN)
        guess = likely[1].rstrip() if likely else b""
        is_ours = guess and guess not in self.levels and guess.removesuffix(b"--") not in self.levels
        return guess if is_ours else told

    def _appears(self, boundary: bytes, start: int) -> bool:
        """Whether a delimiter line of `boundary` follows soon, or too many that are much like one."""
        line = b"\n--" + boundary
        position, stop = start - 1, start + _FIRST_DELIMITER_WITHIN
        for _ in range(_MANY_LIKENESSES):
            position = self.raw.find(line, position, stop)
            if position < 0:
                return False
            position += len(line)
            rest = self.raw[position : position + _LONGEST_LINE].split(b"\n", 1)[0]
            if rest.strip() in (b"", b"--"):
                return True
        return True

    def delimiters(self, position: int) -> Iterator[tuple[int, int, int, bool]]:
        """Delimiter lines: where each starts and ends, the level of its multipart, whether it closes."""
        self.resume = position
        while self.open and (dashes := self.pattern.search(self.raw, self.resume)):
            self._count_line()
            start = dashes.start()
            after = self.raw.find(b"\n", start) + 1 or len(self.raw)
            self.resume = after
            token = self.raw[start + 2 : min(after, start + _LONGEST_LINE)].rstrip()
            level = self.levels.get(token)
            if level is not None:
                yield start, after, level, False
            elif token.endswith(b"--"):
                level = self.levels.get(token[:-2].rstrip())
                if level is not None:
                    yield start, after, level, True

    def _count_line(self) -> None:
        """Many lines begin with dashes and delimit nothing: then only those of the open boundaries count."""
        self.lines += 1
        if self.lines == _MANY_LINES:
            self.pattern = self._delimiter_lines()

    def _delimiter_lines(self) -> re.Pattern[bytes]:
        """What is searched for: any dashes at first, exact delimiters once many lines were none."""
        if self.lines < _MANY_LINES:
            return _DASHES
        boundaries = b"|".join(re.escape(boundary) for boundary in self.levels)
        return re.compile(rb"^--(?:" + boundaries + rb")[ \t\r]*+(?:--[ \t\r]*+)?$", re.MULTILINE)

    def leave(self, delimiter: int, level: int, closing: bool) -> None:
        """Ends the part before a delimiter, and every open multipart deeper than `level` (or at it)."""
        end = delimiter
        if self.raw[end - 1 : end] == b"\n":
            end -= 2 if self.raw[end - 2 : end] == b"\r\n" else 1
        unclosed = len(self.open) > level + 1
        self._end_last(self._before_closing(end) if unclosed else end)
        while len(self.open) > (level if closing else level + 1):
            self._pop(end)

    def _pop(self, end: int) -> None:
        closed = self.open.pop()
        self.ends[closed.index] = end
        if closed.shadowed is None:
            del self.levels[closed.boundary]
        else:
            self.levels[closed.boundary] = closed.shadowed

    def _before_closing(self, end: int) -> int:
        """`end`, or where a closing delimiter begins that follows the last words on their own line."""
        closing = b"--" + self.open[-1].boundary + b"--"
        found = self.raw.rfind(closing, max(0, end - _LONGEST_LINE), end)
        return found if found >= 0 and not self.raw[found + len(closing) : end].strip() else end

    def _end_last(self, end: int) -> None:
        if self.ends[-1] < 0 and not (self.open and self.open[-1].index == len(self.parts) - 1):
            self.ends[-1] = max(end, self.parts[-1].start)

    def finish(self) -> tuple[Part, ...]:
        """The parts with their ends; what is still open ends with the message."""
        if self.open:
            self._end_last(self._before_closing(len(self.raw)))
        self._forget_empty()
        parents = {part.parent for part in self.parts}
        return tuple(
            _ended(part, end if end >= 0 else len(self.raw), index in parents)
            for index, (part, end) in enumerate(zip(self.parts, self.ends, strict=True))
        )

    def _forget_empty(self) -> None:
        """A delimiter at the very end that does not say that it is the last begins no part."""
        *others, last = self.parts
        empty = not last.block.fields and not self.raw[last.start :].strip()
        if empty and any(part.parent == last.parent for part in others):
            self.parts.pop()
            self.ends.pop()


def _ended(part: Part, end: int, has_children: bool) -> Part:
    """The finished part; a multipart without a child is read as text."""
    childless = part.is_multipart and not has_children
    return Part(
        part.block,
        "text/plain" if childless else part.content_type,
        part.parameters,
        part.disposition,
        part.encoding,
        part.parent,
        part.depth,
        part.start,
        max(end, part.start),
    )


def _read_part(block: Block, parent: int, depth: int, default_type: str, hint: str) -> Part:
    content = parameters.parse(value(block, b"content-type", hint))
    disposition = parameters.parse(value(block, b"content-disposition", hint))
    if content.value and disposition.value == "attachment":
        default_type = "application/octet-stream"  # of a type that cannot be read
    return Part(
        block,
        _content_type(content.value, default_type),
        content,
        disposition,
        _encoding(block),
        parent,
        depth,
        block.body,
        -1,
    )


def _content_type(written: str, default: str) -> str:
    """The media type; one that is none (RFC 2045 section 5.2) counts as the default.

    No encoded word belongs there, but some programs write one.
    """
    if written.startswith("=?"):
        written = charset.decode_header(written).partition(";")[0].strip().lower()
    if _TYPE.fullmatch(written):
        return written
    return {"html": "text/html", "multipart": "multipart/mixed"}.get(written.strip("/"), default)


def _encoding(block: Block) -> str:
    """The Content-Transfer-Encoding; of several that contradict one another the first that encodes."""
    written = value(block, b"content-transfer-encoding")
    if not written or transfer.name_of(written):
        return written
    told = (
        text.decode("latin-1") for name, text in block.fields if name.lower() == b"content-transfer-encoding"
    )
    return next(filter(transfer.name_of, told), written)


def value(block: Block, name: bytes, hint: str = "") -> str:
    """The first field `name` (lower case) as one line of text, not decoded; raw bytes as charset `hint`."""
    written = block.first(name)
    return charset.header_text(headers.unfold(written), hint) if written else ""


def content_id(part: Part) -> str:
    """The Content-ID of a part (RFC 2392) as one line without its brackets; empty when it has none."""
    return charset.one_line(charset.storable(value(part.block, b"content-id"))).strip("<> ")
