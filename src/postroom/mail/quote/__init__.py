"""New text apart from quoted text and signature."""

from postroom.mail.quote.reply import Reply, of, split

__all__ = ["Reply", "of", "split"]
