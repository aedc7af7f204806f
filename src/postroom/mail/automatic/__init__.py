"""Whether a person wrote it now."""

from postroom.mail.automatic.verdict import Automatic, Kind, classify

__all__ = ["Automatic", "Kind", "classify"]
