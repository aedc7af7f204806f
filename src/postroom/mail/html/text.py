"""HTML mail as readable Markdown; text that a reader would not see is left out and reported.

The HTML is first written anew as a reader sees it: what is hidden is gone, layout tables and line
breaks made of `div` are plain lines. html-to-markdown turns the result into Markdown.
"""

import re
from dataclasses import dataclass

import html_to_markdown

from postroom.mail import invisible
from postroom.mail.html import shown as html_shown
from postroom.mail.html import tokens as html_tokens

_LONGEST = 5_000_000
_MOST_TAGS = 200_000
_SPACES_AT_END = re.compile(r"(?<![ \t])[ \t]++(?=\n)")
_EMPTY_LINES = re.compile(r"\n{3,}")
_OWN_ADDRESS = re.compile(r"\[([^\[\]\s()]{3,254})\]\(mailto:\1\)")


@dataclass(frozen=True, slots=True)
class HtmlText:
    """Markdown of an HTML body, and whether hidden text was left out."""

    text: str
    hidden: bool


def to_text(html: str) -> HtmlText:
    """Markdown with links, lists and tables; scripts, styles, pictures and hidden text are gone.

    A picture leaves its alternative text. Never raises; time is linear, and what lies beyond
    5 million characters is left out.
    """
    shown = html_shown.rewrite(html[:_LONGEST])
    return HtmlText(_tidy(_markdown(shown.html)), shown.hidden)


def has_hidden_text(html: str) -> bool:
    """Whether `html` holds text that a reader would not see, without the cost of reading the rest."""
    return html_shown.may_hide(html) and html_shown.rewrite(html[:_LONGEST]).hidden


def _markdown(html: str) -> str:
    options = html_to_markdown.ConversionOptions(extract_metadata=False, bullets="-", autolinks=True)
    try:
        return html_to_markdown.convert(html, options).content or ""
    except Exception:  # noqa: BLE001 - whatever the converter stumbles over, the words are there
        return "".join(token.text for token in html_tokens.tokens(html, _MOST_TAGS) if token.kind == "text")


def _tidy(text: str) -> str:
    text = _SPACES_AT_END.sub("", text.replace("\xa0", " ").translate(invisible.ZERO_WIDTH))
    text = _OWN_ADDRESS.sub(r"\1", text)
    return _EMPTY_LINES.sub("\n\n", text).strip("\n ").strip()
