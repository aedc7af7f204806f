"""Messages in one file (RFC 4155), each line that looks like a beginning quoted (mboxrd), so that the exact
bytes can be had back."""

import re
from datetime import UTC, datetime

_LOOKS_LIKE_A_BEGINNING = re.compile(rb"^(>*From )", re.MULTILINE)


def entry(raw: bytes, sender: str, received_at: datetime) -> bytes:
    """One message as an mbox holds it: the line that begins it, its bytes quoted, and an empty line.

    Line ends stay as they are; a message without one at its end gets one.
    """
    # A sender with spaces or line breaks would be read as something else.
    author = sender if sender.isascii() and sender.isprintable() and " " not in sender and sender else "-"
    beginning = f"From {author} {received_at.astimezone(UTC):%a %b %d %H:%M:%S %Y}\n"
    quoted = _LOOKS_LIKE_A_BEGINNING.sub(rb">\1", raw)
    return beginning.encode("ascii") + quoted + (b"\n" if quoted.endswith(b"\n") else b"\n\n")
