"""HTML mail as readable Markdown."""

from postroom.mail.html.text import HtmlText, has_hidden_text, to_text

__all__ = ["HtmlText", "has_hidden_text", "to_text"]
