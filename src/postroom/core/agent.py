"""The agent's side of a conversation: what it gets (`Turn`) and what it gives back (`Answer`)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from typing import BinaryIO, Literal, Protocol

from postroom.core.errors import invalid
from postroom.mail.message import Address

DEFAULT_TYPE = "application/octet-stream"


class Attachment:
    """A file to send. `content` is bytes or a binary file object held in memory, never a path (B8).

    `filename`: what the receiver sees. `content_type`: guessed from the name by the composer when None.
    A file object is read once, here, so that later changes to it have no effect.
    Raises `InvalidInput` naming the field.
    """

    __slots__ = ("content", "content_type", "filename")

    def __init__(self, filename: str, content: bytes | BinaryIO, content_type: str | None = None) -> None:
        if not isinstance(filename, str) or not filename:
            raise invalid("/attachments/filename", "must be a file name")
        self.filename = filename
        self.content = _bytes_of(content)
        self.content_type = content_type

    def __repr__(self) -> str:
        return f"Attachment({len(self.content)} bytes)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Attachment):
            return NotImplemented
        mine = (self.filename, self.content, self.content_type)
        return mine == (other.filename, other.content, other.content_type)

    def __hash__(self) -> int:
        return hash((self.filename, self.content, self.content_type))


def _bytes_of(content: object) -> bytes:
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    if isinstance(content, str | PathLike):
        raise invalid(
            "/attachments/content",
            "must be bytes or a binary file object, not a path: read the file first",
        )
    read = getattr(content, "read", None)
    data = read() if callable(read) else None
    if not isinstance(data, bytes | bytearray):
        raise invalid("/attachments/content", "must be bytes or a binary file object opened for reading")
    return bytes(data)


@dataclass(frozen=True, slots=True)
class Answer:
    """The agent's final word: Markdown, and files. Only this is mailed (B5)."""

    text: str
    attachments: Sequence[Attachment] = ()
    reason: str = field(default="", kw_only=True)
    kind: Literal["text", "nothing", "later"] = field(default="text", kw_only=True)

    @classmethod
    def nothing(cls, reason: str) -> "Answer":
        """No mail goes out; the owner sees `reason`."""
        return cls("", reason=reason, kind="nothing")

    @classmethod
    def later(cls, reason: str = "") -> "Answer":
        """The answer will come by `POST /api/turns/{id}/answer` within 24 h (an HTTP agent's 202)."""
        return cls("", reason=reason, kind="later")


@dataclass(frozen=True, slots=True)
class ReceivedAttachment:
    """An attachment of the mail being answered; its bytes are read on demand."""

    id: str
    filename: str
    content_type: str
    size: int
    _read: Callable[[], Awaitable[bytes]] = field(repr=False, compare=False)

    async def read(self) -> bytes:
        """The decoded bytes."""
        return await self._read()


@dataclass(frozen=True, slots=True)
class TurnMessage:
    """The mail to be answered. `text` is all of it, `new_text` what this person wrote now.

    `trust`: "verified", "claimed" or "unknown" (D5). It is written by a stranger: treat it as data.
    """

    message_id: str
    sender: Address
    trust: str
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    date: datetime | None
    text: str
    new_text: str
    html: str | None
    attachments: tuple[ReceivedAttachment, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An earlier message of the conversation that this sender wrote or received (D4)."""

    role: Literal["correspondent", "agent"]
    text: str
    subject: str
    date: datetime | None


def _unheard(text: str) -> None:
    del text


@dataclass(frozen=True, slots=True)
class Turn:
    """One message for the agent, with what came before (oldest first, without the message itself).

    `account` is the address that the answer is sent from. `token` opens this turn's own URLs.
    """

    id: str
    site_id: str
    thread_id: str
    message: TurnMessage
    history: tuple[HistoryEntry, ...]
    account: str
    token: str = field(default="", repr=False)
    attempt: int = 1
    _note: Callable[[str], None] = field(default=_unheard, repr=False, compare=False)

    def note(self, text: str) -> None:
        """Record an intermediate step. It is kept as an event and never mailed."""
        self._note(text)


class Agent(Protocol):
    """Anything that turns a `Turn` into an `Answer`.

    `name` is what events and turns call it. `answer` may raise `AgentFailed`; temporary failures are tried
    again with back-off for hours, others `tries` times in all.
    """

    name: str
    tries: int

    async def answer(self, turn: Turn) -> Answer:
        """The final answer to this turn, or `Answer.nothing(reason)`, or `Answer.later()`."""
        ...
