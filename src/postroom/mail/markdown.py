"""What a mail says, as text and as HTML: an answer in Markdown, its signature, the original below it.

The HTML sets no colour but one grey that reads on white and on black, so that dark mode can do its work, and
loads nothing: a picture in Markdown becomes a link. A single line break is one in the HTML too, because the
text part shows it. Styles are inlined with css-inline: 0.06 ms for an ordinary answer (0.8 for its Markdown).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from html import escape

import css_inline
import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from postroom.mail.compose import clean_text, one_line, quoted_text
from postroom.mail.html import to_text
from postroom.mail.sanitise import clean_html

_LONGEST = 100_000  # characters that are read as Markdown; hostile ones take 2 s
_ALLOWED_LINK = re.compile(r"https?://|mailto:", re.IGNORECASE)
_URL = re.compile(r"https?://[\w\-.~:/?#\[\]@!$&'()*+,;=%]{1,2000}", re.IGNORECASE)
_NOT_THE_END = re.compile(r"[.,;:!?'*_~]+$")

_CSS = """
p, ul, ol, pre, table, blockquote { margin: 0 0 1em }
h1, h2, h3, h4, h5, h6 { margin: 1.2em 0 .5em; line-height: 1.25 }
h1 { font-size: 1.5em } h2 { font-size: 1.3em } h3 { font-size: 1.15em } h4, h5, h6 { font-size: 1em }
ul, ol { padding-left: 1.6em }
li > ul, li > ol, li > p { margin-bottom: .3em }
code { font-family: Consolas, Menlo, monospace; font-size: .92em }
pre { padding: .7em .9em; border: 1px solid #888888; border-radius: 4px; white-space: pre-wrap }
blockquote { padding-left: .9em; border-left: 3px solid #888888 }
table { border-collapse: collapse }
th, td { padding: .3em .6em; border: 1px solid #888888; text-align: left; vertical-align: top }
hr { border: 0; border-top: 1px solid #888888; margin: 1.2em 0 }
"""
_PAGE = (
    '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    '<meta name="supported-color-schemes" content="light dark"></head>\n<body>\n{}\n</body></html>\n'
)
_FONT = "font-family: -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; line-height: 1.45"
_SIGNATURE = '\n<div dir="auto" class="signature" style="{font}; margin-top: 1.2em">-- <br>{lines}</div>'
_QUOTATION = (
    '\n<div dir="auto" style="{font}; margin-top: 1.2em">{attribution}</div>'
    '\n<blockquote type="cite" dir="auto" style="{font}; margin: .5em 0 0; padding-left: .9em; '
    'border-left: 2px solid #888888">\n{original}\n</blockquote>'
)


@dataclass(frozen=True, slots=True)
class Body:
    """The two renderings of one text; `html` is None for plain text alone."""

    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Quoted:
    """The message answered, for the setting `quote`: the line above it, and its text."""

    attribution: str
    text: str = field(repr=False)


def body(answer_markdown: str, signature: str | None = None, quoted: Quoted | None = None) -> Body:
    """An answer in Markdown as a body: the answer, below it the signature, below that the original.

    The text is the Markdown as written, to the byte, and nothing else without signature and quotation.
    """
    text, html = answer_markdown, _answer_html(answer_markdown)
    if signature:
        text = text.rstrip("\n") + f"\n\n-- \n{signature}"
        html += _signature_html(signature)
    if quoted:
        text = text.rstrip("\n") + f"\n\n{quoted_text(quoted.text, quoted.attribution)}"
        html += quote_html(quoted.text, quoted.attribution)
    return Body(text, _PAGE.format(html))


def plain_body(text: str) -> Body:
    """Text for `content_type: text/plain`: as it is, without HTML."""
    return Body(text)


def html_body(html: str) -> Body:
    """HTML for `content_type: text/html`, sanitised, with its text beside it.

    Raises `ComposeError` for HTML that is too long or too deep (`sanitise.clean_html`).
    """
    fragment = clean_html(clean_text(html))
    return Body(to_text(fragment).text, _PAGE.format(fragment))


def to_html(text: str) -> str:
    """Markdown as a whole HTML page for mail: CommonMark, tables, ~~struck~~ text and bare http(s) links.

    HTML in `text` is shown, never meant. Text over 100,000 characters is shown as it is written.
    """
    return _PAGE.format(_answer_html(text))


def quote_html(text: str, attribution: str) -> str:
    """The text of the message answered as a piece of HTML that mail programs fold away.

    Always from the text: a stranger's HTML, with its hidden parts and remote pictures, does not travel on
    in our name.
    """
    original = _lines(text.strip("\r\n"))
    return _QUOTATION.format(font=_FONT, attribution=escape(one_line(attribution)), original=original)


def _signature_html(signature: str) -> str:
    return _SIGNATURE.format(font=_FONT, lines=_lines(signature))


def _lines(text: str) -> str:
    return "<br>\n".join(escape(line) for line in clean_text(text).split("\n"))


def _answer_html(text: str) -> str:
    text = clean_text(text)
    if len(text) > _LONGEST:
        fragment = f'<p style="white-space: pre-wrap">{escape(text)}</p>'
    else:
        fragment = _inliner().inline_fragment(_cleaner().clean(_markdown().render(text)), _CSS)
    return f'<div dir="auto" style="{_FONT}">\n{fragment.strip()}\n</div>'


class _MailMarkdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - the name the base class calls
        """Whether a link may go there: the web or a mailbox, nowhere else."""
        return _ALLOWED_LINK.match(url) is not None


@cache
def _markdown() -> MarkdownIt:
    options = {"html": False, "breaks": True, "maxNesting": 40}
    markdown = _MailMarkdown("commonmark", options).enable(["table", "strikethrough"])
    markdown.core.ruler.push("mail_links", _add_links)
    return markdown


@cache
def _cleaner() -> nh3.Cleaner:
    tags = (
        "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul"
    )
    return nh3.Cleaner(
        tags=set(tags.split()),
        attributes={"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}},
        filter_style_properties={"text-align"},
        link_rel=None,
        url_schemes={"http", "https", "mailto"},
    )


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(load_remote_stylesheets=False)


def _add_links(state: StateCore) -> None:
    for token in state.tokens:
        if token.children:
            token.children = list(_linked(state.md, token.children))


def _linked(markdown: MarkdownIt, tokens: Iterable[Token]) -> Iterator[Token]:
    """`tokens` of one paragraph with its pictures and bare URLs as links."""
    inside = 0
    for token in tokens:
        inside += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type == "image":
            url = "" if inside else str(token.attrs["src"])
            yield from _link(url, token.content or url)
        elif token.type == "text" and not inside and "://" in token.content:
            yield from _with_urls(markdown, token.content)
        else:
            yield token


def _with_urls(markdown: MarkdownIt, text: str) -> Iterator[Token]:
    start = 0
    for found in _URL.finditer(text):
        url = _trimmed(found[0])
        yield _text(text[start : found.start()])
        yield from _link(markdown.normalizeLink(url), url)
        start = found.start() + len(url)
    yield _text(text[start:])


def _trimmed(url: str) -> str:
    """`url` without the punctuation of the sentence around it; a bracket stays when it has its partner."""
    url = _NOT_THE_END.sub("", url)
    for opening, closing in ("()", "[]"):
        while url.endswith(closing) and url.count(opening) < url.count(closing):
            url = _NOT_THE_END.sub("", url[:-1])
    return url


def _link(url: str, text: str) -> Iterator[Token]:
    if url:
        yield Token("link_open", "a", 1, attrs={"href": url})
    yield _text(text)
    if url:
        yield Token("link_close", "a", -1)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
