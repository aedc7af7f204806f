"""Turns for the tests of agents: one ordinary mail in a conversation, every part replaceable."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from postroom.core.agent import HistoryEntry, ReceivedAttachment, Turn, TurnMessage
from postroom.mail.message import Address

ANNA = Address("Anna Muster", "anna@example.org")


def attachment(content: bytes, filename: str = "plan.pdf", id: str = "att_1") -> ReceivedAttachment:  # noqa: A002 - the field's name
    """A received attachment whose bytes are at hand."""

    async def read() -> bytes:
        return content

    return ReceivedAttachment(id, filename, "application/pdf", len(content), read)


def message(**changes: Any) -> TurnMessage:
    """The mail to be answered, with `changes`."""
    plain = TurnMessage(
        message_id="m2@example.org",
        sender=ANNA,
        trust="verified",
        to=(Address("", "help@example.com"),),
        cc=(),
        subject="Re: Opening hours",
        date=datetime(2026, 3, 2, 8, 59, tzinfo=UTC),
        text="And on Sunday?\n\n> We open at nine.",
        new_text="And on Sunday?",
        html=None,
    )
    return replace(plain, **changes)


def turn(note: Callable[[str], None] | None = None, **changes: Any) -> Turn:
    """The second mail of a conversation, with `changes`; `note` hears the agent's notes."""
    plain = Turn(
        id="turn_1",
        site_id="shop",
        thread_id="thr_1",
        message=message(),
        history=(
            HistoryEntry("correspondent", "When do you open?", "Opening hours", None),
            HistoryEntry("agent", "We open at nine.", "Re: Opening hours", None),
        ),
        account="help@example.com",
        token="turn-token",
    )
    if note is not None:
        changes["_note"] = note
    return replace(plain, **changes)
