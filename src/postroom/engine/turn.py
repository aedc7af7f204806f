"""What the agent gets to see of a conversation: this sender's part of it, no more (D4)."""

from collections.abc import Callable, Sequence

from postroom.core.agent import HistoryEntry, ReceivedAttachment, Turn, TurnMessage
from postroom.core.model import AttachmentInfo, Direction, Message, Site, TurnRecord
from postroom.core.policy import identity_for, visible
from postroom.core.ports import Blobs
from postroom.mail.address import normalise
from postroom.mail.parse import parse


def build_turn(
    site: Site,
    message: Message,
    conversation: Sequence[Message],
    record: TurnRecord,
    token: str,
    blobs: Blobs,
    note: Callable[[str], None],
) -> Turn:
    """The turn for a message: what came before it, oldest first, as far as its sender had part in it."""
    assert message.sender is not None
    assert site.settings.channels.email is not None
    earlier = _before(conversation, message)
    history = tuple(_entry(m) for m in visible(earlier, normalise(message.sender.address)))
    return Turn(
        id=record.id,
        site_id=site.id,
        thread_id=message.thread_id,
        message=_message(message, blobs),
        history=history,
        account=identity_for(message, site.settings.channels.email),
        token=token,
        attempt=record.attempt,
        _note=note,
    )


def _before(conversation: Sequence[Message], message: Message) -> list[Message]:
    """What came before the message. Answers to its predecessors may have been written after it arrived: they
    belong to its past too."""
    place = next((i for i, m in enumerate(conversation) if m.id == message.id), len(conversation))
    later_answers = (m for m in conversation[place + 1 :] if m.direction is Direction.OUT)
    return [*conversation[:place], *later_answers]


def _entry(message: Message) -> HistoryEntry:
    return HistoryEntry(
        "agent" if message.direction is Direction.OUT else "correspondent",
        message.new_text or message.text,
        message.subject,
        message.date,
    )


def _message(message: Message, blobs: Blobs) -> TurnMessage:
    assert message.sender is not None
    return TurnMessage(
        message_id=message.message_id,
        sender=message.sender,
        trust=message.trust.value,
        to=message.to,
        cc=message.cc,
        subject=message.subject,
        date=message.date,
        text=message.text,
        new_text=message.new_text,
        html=message.html,
        attachments=tuple(_attachment(item, message.raw, blobs) for item in message.attachments),
    )


def _attachment(info: AttachmentInfo, raw: str, blobs: Blobs) -> ReceivedAttachment:
    async def read() -> bytes:
        return attachment_bytes(await blobs.get(raw), info.index)

    return ReceivedAttachment(info.id, info.filename, info.content_type, info.size, read)


def attachment_bytes(raw: bytes, index: int) -> bytes:
    """The decoded bytes of an attachment, found again in the raw message by its index."""
    return next((item.content for item in parse(raw).attachments if item.index == index), b"")
