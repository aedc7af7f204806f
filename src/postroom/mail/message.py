"""What a message is once it has been read: frozen values that the rest of Postroom works with."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of RFC 5322 section 3.4: a display name (may be empty) and an addr-spec."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in their order, unfolded and repaired to text, not yet decoded (RFC 2047)."""

    fields: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of the field `name`, first to last; names compare without case."""
        wanted = name.lower()
        return tuple(value for key, value in self.fields if key.lower() == wanted)

    def get(self, name: str, default: str = "") -> str:
        """The first value of the field `name`, or `default`."""
        return next(iter(self.all(name)), default)

    def names(self) -> Iterator[str]:
        """The field names in lower case, in order, with repetition."""
        return (key.lower() for key, _ in self.fields)


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """One part of a message that is not its text. `content` is decoded; `index` is its place among them."""

    index: int
    filename: str
    content_type: str
    disposition: str
    content_id: str
    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes after decoding."""
        return len(self.content)

    @property
    def sha256(self) -> str:
        """Digest of the decoded bytes, lower-case hex."""
        return sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar invitation found in a message (RFC 5545, RFC 5546)."""

    method: str
    summary: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as read. Text fields are decoded and safe to store (no NUL, no lone surrogate).

    `author` is None unless there is one From field with exactly one mailbox (D5); `from_` is the best
    reading for display. `message_id` has no angle brackets and is empty when the mail has none;
    `in_reply_to` and `references` are tuples of such ids in the order written. `text` is the whole text
    (Markdown when only HTML was sent: then `text_is_of_html`). `notes` are facts for a reader, one short
    code each: hidden_text, charset_repaired, damaged_headers, duplicate_header, uuencode, tnef,
    encrypted, signed_inside (S/MIME that holds the text inside its signature).
    """

    headers: Headers
    message_id: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    subject: str
    author: Address | None
    from_: Address | None
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    date: datetime | None
    text: str
    html: str | None
    text_is_of_html: bool = False
    attachments: tuple[AttachedFile, ...] = ()
    calendar: Calendar | None = None
    notes: tuple[str, ...] = ()
