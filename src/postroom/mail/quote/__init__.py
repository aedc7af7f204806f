"""New text apart from quoted text and signature."""

from postroom.mail.quote.reply import Reply, split

__all__ = ["Reply", "split"]
