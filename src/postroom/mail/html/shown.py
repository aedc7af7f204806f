"""Writes HTML anew as a reader sees it: simple, shallow, nothing hidden."""

import re
from dataclasses import dataclass, field
from html import escape, unescape

from postroom.mail import invisible
from postroom.mail.html import tables as html_tables
from postroom.mail.html import tokens as html_tokens
from postroom.mail.html import visibility as html_visibility
from postroom.mail.html.tokens import Token
from postroom.mail.html.visibility import Look, Styles

_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "wbr"}
)
_KEPT_BLOCKS = frozenset(
    {"ul", "ol", "li", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "dl", "dt", "dd"}
)
_KEPT_INLINE = frozenset({"b", "strong", "i", "em", "s", "del", "strike", "code"})
_DATA_TABLE = frozenset({"table", "tr", "td", "th"})
_LINES = frozenset(
    {"div", "section", "article", "header", "footer", "main", "aside", "nav", "address", "center", "form"}
    | {"fieldset", "figure", "figcaption", "caption", "details", "summary", "body", "html", "option"}
    | {"legend", "table", "tbody", "thead", "tfoot", "tr", "td", "th"}
)
_BLOCKS = _KEPT_BLOCKS | _LINES | {"p", "hr"}
_ENDED_BY_ITS_LIKE = {"li": {"ul", "ol"}, "dt": {"dl"}, "dd": {"dl"}, "option": {"select"}}
_CELLS = frozenset({"td", "th"})
_ROWS = frozenset({"tr", "tbody", "thead", "tfoot"})
_SAFE_LINKS = ("http://", "https://", "mailto:", "tel:", "ftp://")
_DEEPEST = 60
_MOST_OPEN = 2_000
_MOST_TAGS = 60_000
_LONGEST_LINK = 4_000

_SPACES = re.compile(r"[ \t\r\n\f]+")
_INDENTED = re.compile(r"(?m)^ {2,}| {3,}")
_STYLED = re.compile(r"style|class|hidden|colo|size|id|backg", re.IGNORECASE)
_PLAIN = Look()

may_hide = html_visibility.may_hide


@dataclass(frozen=True, slots=True)
class Shown:
    """The simple HTML, and whether text was left out because it is hidden."""

    html: str
    hidden: bool


@dataclass(slots=True)
class _Element:
    """An open element: how it looks, what it was written as ("" for nothing), where a link began, whether
    it is a `pre` of what a person typed."""

    name: str
    look: Look
    written: str = ""
    place: int = -1
    typed: bool = False


def rewrite(html: str) -> Shown:
    """`html` as a reader sees it, in p, lists, headings, data tables, links, emphasis and `br` alone."""
    tokens = list(html_tokens.tokens(html, _MOST_TAGS))
    if not tokens or tokens[0].text == html:
        return Shown(html.replace("<", "&lt;").replace("\n", "<br>"), hidden=False)
    sheets = [token.text for token in tokens if token.name == "style" and token.kind == "text"]
    writer = _Writer(html_visibility.styles_of(sheets), html_tables.data_tables(tokens))
    for place, token in enumerate(tokens):
        if token.kind == "text":
            if not token.name:
                writer.text(token.text)
        elif token.kind == "open":
            writer.open(token, place)
        else:
            writer.close(token.name)
    writer.finish()
    return Shown("".join(writer.out), writer.hidden)


@dataclass(slots=True)
class _Writer:
    """Writes token by token. `line` tells whether the present line has text, `due` that a break is due,
    `said` that there was any; `preformatted` and `typed` count open `pre` elements of code and of text."""

    styles: Styles
    data_tables: frozenset[int]
    out: list[str] = field(default_factory=list)
    stack: list[_Element] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    looks: dict[tuple[str, str, int], Look] = field(default_factory=dict)
    depth: int = 0
    preformatted: int = 0
    typed: int = 0
    said: bool = False
    hidden: bool = False
    line: bool = False
    due: bool = False

    @property
    def look(self) -> Look:
        return self.stack[-1].look if self.stack else _PLAIN

    def text(self, text: str) -> None:
        if self.look.hides_text:
            self.hidden = self.hidden or bool(unescape(text).translate(invisible.ZERO_WIDTH).strip())
            return
        if self.typed:
            self._lines(text)
            return
        if not self.preformatted and not text.strip():
            if self.line and not self.due:
                self.out.append(" ")
            return
        self._break_due()
        text = text if self.preformatted else _SPACES.sub(" ", text)
        self.out.append(text.replace("<", "&lt;") if "<" in text else text)
        self.line = self.said = True

    def _lines(self, text: str) -> None:
        """Text whose line ends count."""
        self._break_due()
        text = text.replace("<", "&lt;").replace("\r\n", "\n")
        text = _INDENTED.sub(lambda spaces: "\u00a0" * len(spaces[0]), text)
        self.out.append(text.replace("\n", "<br>"))
        self.line = not text.endswith("\n")
        self.said = True

    def open(self, token: Token, place: int) -> None:
        name = token.name
        self._end_before(name)
        if name in _VOID:
            self._void(token)
            return
        if len(self.stack) >= _MOST_OPEN:
            return
        element = _Element(name, self._look_of(token))
        self.stack.append(element)
        self.counts[name] = self.counts.get(name, 0) + 1
        if not element.look.gone:
            self._write_open(element, token, place)

    def close(self, name: str) -> None:
        if name == "p" and not self.counts.get("p"):
            self._line_end()
        if name == "br":
            self._void(Token("open", "br", ""))
        if not self.counts.get(name):
            return
        if name not in _DATA_TABLE and self._crosses_cell(name):
            return
        while self._pop() != name:
            pass

    def finish(self) -> None:
        while self.stack:
            self._pop()

    def _crosses_cell(self, name: str) -> bool:
        """Whether the element lies outside the table cell that is open: its end tag is a stray one."""
        for element in reversed(self.stack[-_DEEPEST:]):
            if element.name == name:
                return False
            if element.name in _CELLS:
                return True
        return False

    def _end_before(self, name: str) -> None:
        """Ends what the start of `name` ends without an end tag (HTML, optional tags)."""
        if name in _BLOCKS and self.stack and self.stack[-1].name == "p":
            self._pop()
        if name in _ENDED_BY_ITS_LIKE:
            self._end_within({"dt", "dd"} if name in {"dt", "dd"} else {name}, _ENDED_BY_ITS_LIKE[name])
        elif name in _CELLS:
            self._end_within(_CELLS, _ROWS | {"table"})
        elif name == "tr":
            self._end_within({"tr"}, {"table"})

    def _end_within(self, names: set[str] | frozenset[str], limits: set[str] | frozenset[str]) -> None:
        """Ends the nearest open element of `names`, unless one of `limits` is open inside it."""
        for steps, element in enumerate(reversed(self.stack[-_DEEPEST:]), start=1):
            if element.name in names:
                for _ in range(steps):
                    self._pop()
                return
            if element.name in limits:
                return

    def _look_of(self, token: Token) -> Look:
        look = self.look
        if not _STYLED.search(token.text):
            return look
        key = (token.name, token.text, id(look))
        if key not in self.looks:
            self.looks[key] = html_visibility.look_of(token.name, token.attributes(), self.styles, look)
        return self.looks[key]

    def _write_open(self, element: _Element, token: Token, place: int) -> None:
        name = element.name
        if name == "p" and not _is_plain_line(token):
            self._paragraph(element, "p")
        elif name == "pre" and (not self.said or _is_mail_text(token)):
            self._line_end()
            element.typed = True
            self.typed += 1
        elif name in _KEPT_BLOCKS or (name == "table" and place in self.data_tables):
            self._paragraph(element, name)
            self.preformatted += name == "pre"
        elif name in _DATA_TABLE and self._in_data_table():
            self._paragraph(element, name)
        elif name in _LINES or name == "p":
            self._line_end()
        elif name == "a":
            self._link(element, token)
        elif name in _KEPT_INLINE and self.depth < _DEEPEST and not self.preformatted:
            self._break_due()
            element.place = len(self.out)
            self._emit_open(element, name, f"<{name}>")

    def _in_data_table(self) -> bool:
        for element in reversed(self.stack[:-1][-_DEEPEST:]):
            if element.name == "table":
                return element.written == "table"
        return False

    def _paragraph(self, element: _Element, name: str) -> None:
        if self.depth >= _DEEPEST:
            self._line_end()
            return
        self.line = self.due = False
        self._emit_open(element, name, f"<{name}>")

    def _emit_open(self, element: _Element, name: str, tag: str) -> None:
        element.written = name
        self.depth += 1
        self.out.append(tag)

    def _link(self, element: _Element, token: Token) -> None:
        target = token.attributes().get("href", "").strip()
        if (
            self.depth >= _DEEPEST
            or not target.lower().startswith(_SAFE_LINKS)
            or len(target) > _LONGEST_LINK
        ):
            return
        self._break_due()
        element.place = len(self.out)
        self._emit_open(element, "a", f'<a href="{escape("".join(target.split()))}">')

    def _void(self, token: Token) -> None:
        if self.look.gone:
            return
        if token.name == "br":
            self._break_due()
            self.out.append("<br>")
            self.line = False
        elif token.name == "hr":
            self.line = self.due = False
            self.out.append("<hr>")
        elif token.name == "img" and not self._look_of(token).hides_text:
            alternative = " ".join(token.attributes().get("alt", "").split())
            self.text(f" {escape(alternative)} " if alternative else "")

    def _pop(self) -> str:
        element = self.stack.pop()
        self.counts[element.name] -= 1
        self.typed -= element.typed
        if element.written:
            self.depth -= 1
            self.out.append(f"</{element.written}>")
            self.preformatted -= element.name == "pre"
        if element.place >= 0:
            self._drop_if_empty(element)
        elif element.name in _BLOCKS and not element.look.gone:
            self._line_end()
        if element.written and element.name in _BLOCKS:
            self.line = self.due = False
        return element.name

    def _drop_if_empty(self, element: _Element) -> None:
        """A link or emphasis around nothing, such as a picture without a text, leaves nothing."""
        if not any(piece.strip() and not piece.startswith("<") for piece in self.out[element.place :]):
            kept = [piece for piece in self.out[element.place + 1 : -1] if piece == "<br>"]
            self.out[element.place :] = kept

    def _line_end(self) -> None:
        if self.line:
            self.due = True

    def _break_due(self) -> None:
        if self.due:
            self.out.append("<br>")
            self.line = self.due = False


def _is_mail_text(token: Token) -> bool:
    """A `pre` by which a mail program writes text, not code: a signature, a quote, lines that may wrap."""
    attributes = token.attributes()
    return "wrap" in attributes or attributes.get("class", "").startswith("moz-")


def _is_plain_line(token: Token) -> bool:
    """A `p` without space around it: Outlook and others write each line as one."""
    if not token.text.strip():
        return False
    attributes = token.attributes()
    if attributes.get("class", "").startswith(("Mso", "mso")):
        return True
    style = html_visibility.declarations(attributes.get("style", ""))
    margins = (style.get("margin", ""), style.get("margin-bottom", ""))
    return any(margin.split()[:1] in (["0"], ["0px"], ["0pt"], ["0in"], ["0cm"]) for margin in margins)
