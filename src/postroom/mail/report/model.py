"""What a report says, as values."""

from dataclasses import dataclass
from typing import Literal

ReportKind = Literal["report", "complaint", "disposition"]


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What a report says of one recipient.

    `address`: as the sender wrote it where the report tells, else where the mail went in the end,
    which `final` always is. `action`: failed, delayed, delivered, relayed or expanded (RFC 3464
    section 2.3.3); of a disposition its type ("displayed", "deleted"); of a complaint empty. `status`:
    an enhanced status code (RFC 3463), worked out from reply codes or words when the report gives
    none. `temporary`: 4.x.x, or only delayed. `diagnostic`: the foreign server's words on one line.
    """

    address: str
    action: str
    status: str
    temporary: bool
    diagnostic: str
    final: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report: its kind, whom it is about, and the Message-ID (no angle brackets) of the mail returned."""

    kind: ReportKind
    recipients: tuple[ReportedRecipient, ...]
    returned_message_id: str
