"""A turn as JSON, as HTTP agents get it (product.md C)."""

import json
from datetime import datetime
from typing import Any

from postroom.core.agent import HistoryEntry, ReceivedAttachment, Turn, TurnMessage
from postroom.mail.message import Address


def turn_body(turn: Turn, public_url: str) -> bytes:
    """`{"turn": {...}}` in UTF-8.

    `token` opens the turn's own URLs as `Authorization: Bearer`: each attachment's `url` (GET, the decoded
    bytes) and `callback_url` (POST, an answer given later). `public_url`: where our API is reached.
    """
    document = {"turn": _turn(turn, public_url.rstrip("/") + "/api")}
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _turn(turn: Turn, api: str) -> dict[str, Any]:
    return {
        "id": turn.id,
        "site_id": turn.site_id,
        "thread_id": turn.thread_id,
        "account": turn.account,
        "attempt": turn.attempt,
        "token": turn.token,
        "callback_url": f"{api}/turns/{turn.id}/answer",
        "message": _message(turn.message, api),
        "history": [_entry(entry) for entry in turn.history],
    }


def _message(message: TurnMessage, api: str) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "sender": _address(message.sender),
        "trust": message.trust,
        "to": [_address(address) for address in message.to],
        "cc": [_address(address) for address in message.cc],
        "subject": message.subject,
        "date": _date(message.date),
        "text": message.text,
        "new_text": message.new_text,
        "html": message.html,
        "attachments": [_attachment(attachment, api) for attachment in message.attachments],
    }


def _entry(entry: HistoryEntry) -> dict[str, Any]:
    return {"role": entry.role, "text": entry.text, "subject": entry.subject, "date": _date(entry.date)}


def _attachment(attachment: ReceivedAttachment, api: str) -> dict[str, Any]:
    return {
        "id": attachment.id,
        "filename": attachment.filename,
        "content_type": attachment.content_type,
        "size": attachment.size,
        "url": f"{api}/attachments/{attachment.id}",
    }


def _address(address: Address) -> dict[str, str]:
    return {"name": address.name, "address": address.address}


def _date(date: datetime | None) -> str | None:
    return date.isoformat() if date else None
