"""HTML mail as lines for the rules of quoting, and those lines as HTML again.

Only what decides about quoting is read: where lines break, which blockquotes are quotes, and the
elements by which mail programs say that the original or a signature begins. It is no HTML parser and
keeps no tree, so that hostile nesting costs nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import unescape

from postroom.mail.quote.lines import INDENTED, OWN, QUOTED, Lines
from postroom.mail.quote.words import LABELS, words

_TAG = re.compile(r"<(?:(!--)|(/?)([a-zA-Z][a-zA-Z0-9:]*+)((?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+'|[\"'])*+)>)")
_SPACED_TAG = re.compile(r"\s*+" + _TAG.pattern)
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_MOST_TAGS = 40_000
_MOST_LINES = 40_000

_UNREAD = frozenset({"style", "script", "title", "head"})
_BREAKS = frozenset(
    words(
        """
        address | article | aside | blockquote | body | br | caption | center | dd | div | dl | dt
        fieldset | footer | form | h1 | h2 | h3 | h4 | h5 | h6 | header | hr | html | li | main | nav
        ol | p | pre | section | table | tbody | tr | ul
        """
    )
)
_PARAGRAPHS = frozenset({"p", "hr", "blockquote", "table", "h1", "h2", "h3", "ul", "ol"})
_VOID = frozenset(
    words("area | base | br | col | embed | hr | img | input | link | meta | param | source | wbr")
)

_CITES = re.compile(
    r"type\s*=\s*[\"']?cite|\bcite\s*=\s*[\"']?mid:|class\s*=\s*[\"']?[^\"'>]*(?<!block)(?<!gmail_)quote"
    r"|^(?!.*gmail_quote).*border-left(?:-\w+)?\s*:(?!\s*(?:none|0|medium none))"
    r"|id\s*=\s*[\"']?(?:isreplycontent|qt\b|mailquote|replyblockquote)|clean_bq|front-blockquote"
)
_AUTHORS_INDENT = re.compile(r"border\s*:\s*(?:none|medium none|0)")
_OPENS = re.compile(
    r"divrplyfwdmsg|appendonsend|olk_src_body_section|stopspelling|zwchr|moz-cite-prefix|moz-forward-container"
    r"|outlookmessageheader|mail-editor-reference-message|ms-outlook-mobile-reference-message|messagereplysection"
    r"|gmail_quote|gmail_attr|yahoo_quoted|yahooquoted|protonmail_quote|proton-quote|tutanota_quote|zmail_extra|zm-_id_"
    r"|ntes-mailmaster-quote|ntes-pcmail-quote|isreplycontent|wps_?quote|qm_?quote|original-content|includetail"
    r"|missive_quote|front-quote|sh-quoted|reply-intro|replyintro|quoted_header|_originalcontent|_replyheader|cite-prefix"
    r"|originalmessage|original_message|origbody|quotedmessage|quoted-message|replyforwardheader|mailru-quote|x_divrplyfwdmsg"
    r"|name\s*=\s*[\"']?quote\b|bloop_original|ecxstopspelling|wlmailquote|data-marker\s*=\s*[\"']?__(?:divider|quote)"
)
_WRAPS = re.compile(
    r"gmail_quote|yahoo_?quoted|protonmail_quote|proton-quote|tutanota_quote|name\s*=\s*[\"']?quote\b"
    r"|missive_quote|sh-quoted|mailru-quote|wlmailquote|quoted-?message"
)
_SIGNS = re.compile(
    r"gmail_signature(?!_prefix)|data-signatureblock|moz-signature|protonmail_signature|id\s*=\s*[\"']?(?:x_)?signature\b"
    r"|ms-outlook-mobile-signature|applemailsignature|data-smartmail\s*=\s*[\"']?gmail_signature|tutanota_signature"
)
_OUTLOOK_BORDER = re.compile(r"border\s*:\s*none\s*;\s*border-top\s*:\s*solid")
_TOP_BORDER = re.compile(r"border-top(?:-style)?\s*:[^;\"']{0,40}solid")
_TRAITS = {
    "opens": _OPENS,
    "wraps": _WRAPS,
    "signs": _SIGNS,
    "borders": _TOP_BORDER,
    "outlooks": _OUTLOOK_BORDER,
    "cites": _CITES,
    "indents": _AUTHORS_INDENT,
}
_PENDING = frozenset({"opens", "signs", "borders", "outlooks"})
_ENDING = frozenset({"wraps", "signs"})


@dataclass(frozen=True, slots=True)
class Page:
    """HTML and the lines in it; line `n` is `source[starts[n]:starts[n + 1]]`, tags included."""

    source: str
    lines: Lines
    starts: tuple[int, ...]

    def html_of(self, ranges: Iterable[tuple[int, int]]) -> str:
        """The HTML of lines [start, end) of each range, without the elements that only the rest fills."""
        pieces, at = [], 0
        for start, end in ranges:
            text = _first_text(self.source, self.starts[start])
            pieces.append(_unmatched_tags(self.source[at:text]))
            at = self.starts[end]
            pieces.append(self.source[text:at])
        return "".join(pieces)


def read(html: str, answers: bool = True) -> Page:
    """`html` as a page; anything is accepted, and beyond a large number of tags the rest is one line."""
    reader = _Reader(html)
    reader.run()
    ends = reader.elements.ends()
    signs = frozenset(line for line in reader.signs if ends.get(line) != line)
    lines = Lines(reader.texts, bytes(reader.marks), frozenset(reader.opens), signs, ends, answers)
    return Page(html, lines, (0, *reader.ends[:-1], len(html)) if reader.ends else (0,))


@dataclass(slots=True)
class _Element:
    """An element whose end matters: its first line and one past its last, once they are known.

    `depth` counts the elements of its name that are open in it, itself too.
    """

    line: int = -1
    end: int = -1
    depth: int = 1


@dataclass(slots=True)
class _Elements:
    """Finds where elements end, without a tree."""

    found: list[_Element] = field(default_factory=list)
    without_line: list[_Element] = field(default_factory=list)
    open_: dict[str, list[_Element]] = field(default_factory=dict)

    def opened(self, name: str, matters: bool) -> None:
        within = self.open_.get(name)
        if matters:
            element = _Element()
            self.found.append(element)
            self.without_line.append(element)
            self.open_.setdefault(name, []).append(element)
        elif within:
            within[-1].depth += 1

    def closed(self, name: str, line: int) -> None:
        """An element of this name ends before `line`."""
        within = self.open_.get(name)
        if not within:
            return
        within[-1].depth -= 1
        if not within[-1].depth:
            within.pop().end = line

    def begin(self, line: int) -> None:
        """What opened since the last line begins with `line`."""
        for element in self.without_line:
            element.line = line
        self.without_line.clear()

    def ends(self) -> dict[int, int]:
        """One past the last line of the elements that begin with a line; the outermost of several counts."""
        ends: dict[int, int] = {}
        for element in reversed(self.found):
            if element.line >= 0:
                ends[element.line] = element.end
        return {line: max(line, end) for line, end in ends.items() if end >= 0}


@dataclass(slots=True)
class _Reader:
    """Walks the tags of `html` once and collects lines."""

    html: str
    texts: list[str] = field(default_factory=list)
    marks: bytearray = field(default_factory=bytearray)
    ends: list[int] = field(default_factory=list)
    opens: set[int] = field(default_factory=set)
    signs: set[int] = field(default_factory=set)
    borders: dict[int, bool] = field(default_factory=dict)
    quotes: list[int] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    piece_end: int = 0
    pending: set[str] = field(default_factory=set)
    traits: dict[str, frozenset[str]] = field(default_factory=dict)
    preformatted: int = 0
    elements: _Elements = field(default_factory=_Elements)

    def run(self) -> None:
        lowered = self.html.translate(_ASCII_LOWER)
        unclosed: set[str] = set()
        position = 0
        for count, tag in enumerate(_TAG.finditer(lowered)):
            if tag.start() < position:
                continue
            if count > _MOST_TAGS:
                break
            self._text(position, tag.start())
            position = tag.end()
            name = "--" if tag[1] else tag[3]
            if (tag[1] or name in _UNREAD) and not tag[2]:
                position = _skipped(lowered, name, position, unclosed)
            else:
                self._tag(name, bool(tag[2]), tag[4], position)
        self._text(position, len(self.html))
        self._break()
        self.opens.update(
            line for line, by_outlook in self.borders.items() if self._heads_a_mail(line, by_outlook)
        )

    def _text(self, start: int, end: int) -> None:
        if start >= end:
            return
        text = self.html[start:end]
        if self.preformatted and "\n" in text:
            self._preformatted_text(start, text)
        elif not text.isspace():
            self.pieces.append(text)
            self.piece_end = end
        elif self.pieces:
            self.pieces.append(" ")

    def _preformatted_text(self, start: int, text: str) -> None:
        for line in text.split("\n", _MOST_LINES):
            start += len(line)
            if line.strip():
                self.pieces.append(line)
                self.piece_end = start
                self._break()
            elif not self._break():
                self._blank()
            start += 1

    def _tag(self, name: str, closes: bool, attributes: str, end: int) -> None:
        traits = frozenset() if closes or len(attributes) < 4 else self._traits_of(attributes)
        if name in _BREAKS or traits & {"opens", "signs"}:
            if (not self._break() and name == "br") or name in _PARAGRAPHS:
                self._blank()
        elif name in ("td", "th"):
            self.pieces.append(" ")
        if name != "blockquote":
            self.pending.update(traits & _PENDING)
        if closes and self.elements.open_:
            self.elements.closed(name, len(self.texts) + bool(self.pieces))
        elif (traits or self.elements.open_) and not closes and name not in _VOID:
            self.elements.opened(name, name != "blockquote" and not traits.isdisjoint(_ENDING))
        if name == "blockquote":
            self._blockquote(closes, traits)
        elif name == "pre":
            self.preformatted = 0 if closes else 1
        elif name == "hr":
            self._line("_" * 8, end)

    def _traits_of(self, attributes: str) -> frozenset[str]:
        """What the attributes say about quoting; asked once for each spelling, because mail repeats them."""
        found = self.traits.get(attributes)
        if found is None:
            found = frozenset(name for name, rule in _TRAITS.items() if rule.search(attributes))
            self.traits[attributes] = found
        return found

    def _blockquote(self, closes: bool, traits: frozenset[str]) -> None:
        if closes:
            if self.quotes:
                self.quotes.pop()
            return
        inherited = self.quotes[-1] if self.quotes else OWN
        mark = QUOTED if "cites" in traits else OWN if "indents" in traits else INDENTED
        self.quotes.append(max(inherited, mark))

    def _break(self) -> bool:
        """End the current line; whether there was one."""
        text = " ".join(unescape("".join(self.pieces)).split())
        self.pieces.clear()
        if text:
            self._line(text, self.piece_end)
        return bool(text)

    def _line(self, text: str, end: int) -> None:
        number = len(self.texts)
        if "opens" in self.pending:
            self.opens.add(number)
        if "signs" in self.pending:
            self.signs.add(number)
        if "borders" in self.pending:
            self.borders[number] = "outlooks" in self.pending
        self.pending.clear()
        self.elements.begin(number)
        self.texts.append(text)
        self.ends.append(end)
        mark = QUOTED if text.startswith(">") else self.quotes[-1] if self.quotes else OWN
        self.marks.append(mark)

    def _blank(self) -> None:
        if self.texts and self.texts[-1]:
            self.texts.append("")
            self.ends.append(self.ends[-1])
            self.marks.append(self.marks[-1])

    def _heads_a_mail(self, line: int, by_outlook: bool) -> bool:
        """Whether a block below a border holds headers; of whatever language where the border is Outlook's.

        Cards, tables and signatures have borders and labels too.
        """
        head = [text[:200].lower() for text in self.texts[line : line + 8] if text][:5]
        labels = [text[:24].replace("：", ":").partition(":") for text in head]
        known = sum(label.strip() in LABELS for label, colon, _ in labels if colon)
        together = " ".join(head)
        if by_outlook:
            return sum(bool(colon) for _, colon, _ in labels) >= 2 and bool(_DATE_AND_TIME.search(together))
        return known >= 3 and bool(_YEAR_OR_TIME.search(together))


_DATE_AND_TIME = re.compile(r"\d{1,2}[:.]\d{2}")
_YEAR_OR_TIME = re.compile(r"(?<!\d)(?:\d{4}|\d{1,2}:\d{2})(?!\d)")


def _skipped(lowered: str, name: str, position: int, unclosed: set[str]) -> int:
    """Where reading goes on after a comment or an element that is not read."""
    if name in unclosed:
        return position
    close = "-->" if name == "--" else f"</{name}"
    end = lowered.find(close, position)
    if end < 0:
        unclosed.add(name)
        return position
    return end + len(close) if name == "--" else end


def _first_text(source: str, position: int) -> int:
    """Where at or after `position` something stands that is no tag with content."""
    while tag := _SPACED_TAG.match(source, position):
        if tag[1] or tag[3].lower() in _VOID:
            break
        position = tag.end()
    return position


def _unmatched_tags(source: str) -> str:
    """The tags of `source` that close what began before it or are closed after it."""
    closing: list[str] = []
    opened: list[tuple[str, str]] = []
    for tag in _TAG.finditer(source):
        name = (tag[3] or "").lower()
        if not name or name in _VOID:
            continue
        if not tag[2]:
            opened.append((name, tag[0]))
        elif opened and opened[-1][0] == name:
            opened.pop()
        elif name not in (known for known, _ in opened[-8:]):
            closing.append(tag[0])
    return "".join(closing) + "".join(text for _, text in opened)
