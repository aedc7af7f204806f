"""A mail body as lines, each knowing whether it is marked as quoted: what the rules of quoting judge."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from unicodedata import normalize

OWN: Final = 0
INDENTED: Final = 1  # quoted only when an attribution introduces it
QUOTED: Final = 2

_INVISIBLE = dict.fromkeys(
    [0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
_DASHES = {**dict.fromkeys(map(ord, "‐‑‒–—―─━"), "-"), 0x0307: None}  # "İ" in lower case is i and a dot
_MARKDOWN_LINK = re.compile(r"\[([^\[\]]{0,200})\]\([^()\s]{1,500}\)")
_GROUPWISE = re.compile(r"^>>> [^>].{0,300}>>>\s*$")
_SPACES = "".join(map(chr, [*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, *range(0x2000, 0x2010)]))
_NO_WORDS = _SPACES + "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff>＞-_=*~|"
# Markdown writes `\>` for a `>` of the text, and `— <mid:…>` for what a blockquote cites.
_ANY_MARK = re.compile(r"[>＞|]|— <mid:")
_QUOTE_MARKS = (">", "＞", "\\>", "— <mid:")
_LONGEST_LOOK = 600
_FAR = 64
_WRAP_WIDTH = 66


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a body in their order.

    `texts` as written; `marks` one of OWN, INDENTED, QUOTED per line; `opens` the lines where HTML says
    that another's mail begins, `signs` those where it says that a signature begins; `ends` one past the
    last line of either, by its first, where HTML says that too. `answers`: the mail is a reply or a forward.
    """

    texts: Sequence[str]
    marks: bytes
    opens: frozenset[int] = frozenset()
    signs: frozenset[int] = frozenset()
    ends: Mapping[int, int] = field(default_factory=dict)
    answers: bool = True
    _tidied: dict[int, str] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.texts)

    def is_blank(self, index: int) -> bool:
        """Whether line `index` holds nothing to read."""
        text = self.texts[index]
        return not text or text.isspace()

    def filled(self, start: int, end: int) -> Iterator[int]:
        """The indexes of lines in [start, end) that are not blank."""
        return (index for index in range(start, min(end, len(self))) if not self.is_blank(index))

    def next_filled(self, index: int) -> int | None:
        """The first line at or soon after `index` that is not blank."""
        return next(self.filled(index, index + _FAR), None)

    def is_quote_next(self, index: int) -> bool:
        """Whether the first line at or after `index` that is not blank is marked as quoted or indented."""
        found = self.next_filled(index)
        return found is not None and self.marks[found] != OWN

    def says_something(self, start: int, end: int) -> bool:
        """Whether lines [start, end) hold more than white space, rules and quote marks."""
        return any(self.texts[index].strip(_NO_WORDS) for index in range(start, end))

    def tidy(self, index: int) -> str:
        """Line `index` for comparison: see `tidy`."""
        found = self._tidied.get(index)
        if found is None:
            found = self._tidied[index] = tidy(self.texts[index])
        return found

    def joined(self, start: int, end: int) -> str:
        """Lines [start, end) as written, without the white space around them."""
        return "\n".join(self.texts[start:end]).strip()


def from_text(text: str, answers: bool = True) -> Lines:
    """The lines of plain text (or Markdown); those that begin with `>` are quoted (RFC 3676, section 4.5)."""
    texts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    marks = bytearray(len(texts))
    if _ANY_MARK.search(text) is None:
        return Lines(texts, bytes(marks), answers=answers)
    for index, line in enumerate(texts):
        if line.startswith(">") or line.lstrip().startswith(_QUOTE_MARKS):
            marks[index] = QUOTED
        elif line.startswith("| ") and not line.endswith("|"):
            marks[index] = INDENTED
    _unmark_others(text, texts, marks)
    _mark_wrapped_rests(texts, marks)
    return Lines(texts, bytes(marks), answers=answers)


def tidy(text: str) -> str:
    """`text` in lower case, without emphasis, links, invisible characters and odd spaces.

    Of a long text only its beginning.
    """
    text = text[:_LONGEST_LOOK]
    if "](" in text:
        text = _MARKDOWN_LINK.sub(r"\1", text)
    text = text.lower()
    if not text.isascii():
        text = normalize("NFKC", text.translate(_INVISIBLE)).translate(_DASHES)
    return " ".join(text.replace("*", "").replace("\\", "").split())


def _unmark_others(text: str, texts: Sequence[str], marks: bytearray) -> None:
    """Take two forms for what they are: `>From `, a line of the writer's that an mbox file escaped (RFC
    4155), and GroupWise's `>>> name date >>>`, which introduces text that is not marked."""
    if not (">From " in text or ">>>" in text):
        return
    for index, line in enumerate(texts):
        if line.startswith(">From ") and not line.rstrip().endswith(":"):
            if not (any(marks[index - 1 : index]) or any(marks[index + 1 : index + 2])):
                marks[index] = OWN
        elif line.startswith(">>> ") and _GROUPWISE.match(line):
            marks[index] = OWN


def _mark_wrapped_rests(texts: Sequence[str], marks: bytearray) -> None:
    """Quote what a program wrapped off a quoted line without marking it again: a few words, or, where that
    happens more than once, as much as there is."""
    between = bytes((QUOTED, OWN, QUOTED))
    rests: list[int] = []
    found = marks.find(between)
    while found >= 0:
        above, line = texts[found].rstrip(), texts[found + 1].strip()
        if len(above) >= _WRAP_WIDTH and above[-1:].isalnum() and line[:1].islower():
            rests.append(found + 1)
        found = marks.find(between, found + 1)
    for rest in rests:
        if len(rests) > 1 or len(texts[rest].strip()) < len(texts[rest - 1].rstrip()) // 2:
            marks[rest] = QUOTED
