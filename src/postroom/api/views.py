"""Our values as JSON documents: the same names, times in UTC with Z, addresses as {name, address}."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from postroom.core.model import (
    AccountStatus,
    ApiKey,
    AttachmentInfo,
    Event,
    Message,
    SealedToken,
    Site,
    Thread,
    TurnRecord,
)
from postroom.core.shares import WorkerSeen
from postroom.core.submission import Recipient, Submission
from postroom.mail.message import Address

Json = dict[str, Any]


def moment(value: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if value is None:
        return None
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def address(value: Address | None) -> Json | None:
    """One address."""
    return {"name": value.name, "address": value.address} if value else None


def _addresses(values: Iterable[Address]) -> list[Json]:
    return [{"name": a.name, "address": a.address} for a in values]


def message(value: Message) -> Json:
    """A message without its bytes."""
    return {
        "id": value.id,
        "site_id": value.site_id,
        "thread_id": value.thread_id,
        "direction": value.direction.value,
        "source": value.source.value,
        "message_id": value.message_id,
        "in_reply_to": list(value.in_reply_to),
        "references": list(value.references),
        "from": address(value.sender),
        "reply_to": _addresses(value.reply_to),
        "to": _addresses(value.to),
        "cc": _addresses(value.cc),
        "subject": value.subject,
        "date": moment(value.date),
        "received_at": moment(value.received_at),
        "text": value.text,
        "new_text": value.new_text,
        "html": value.html,
        "attachments": [attachment(a) for a in value.attachments],
        "trust": value.trust.value,
        "automatic": value.automatic or None,
        "state": value.state.value,
        "reason": value.reason or None,
        "notes": list(value.notes),
        "attempts": value.attempts,
        "due_at": moment(value.due_at),
        "answered_by": value.answered_by,
        "size": value.size,
    }


def attachment(value: AttachmentInfo) -> Json:
    """An attachment; its bytes are at /api/attachments/{id}."""
    return {
        "id": value.id,
        "filename": value.filename,
        "content_type": value.content_type,
        "disposition": value.disposition,
        "content_id": value.content_id or None,
        "size": value.size,
        "sha256": value.sha256,
    }


def thread(value: Thread) -> Json:
    """A conversation."""
    return {
        "id": value.id,
        "site_id": value.site_id,
        "thread_key": value.thread_key,
        "subject": value.subject,
        "created_at": moment(value.created_at),
        "last_at": moment(value.last_at),
        "messages": value.messages,
        "cites": value.cites,
        "paused": value.paused or None,
    }


def recipients(values: Iterable[Recipient]) -> Json:
    """What is known per recipient."""
    return {r.address: {"status": r.status.value, "code": r.code or None, "text": r.text} for r in values}


def submission(value: Submission) -> Json:
    """A submission."""
    return {
        "id": value.id,
        "site_id": value.site_id,
        "thread_id": value.thread_id,
        "kind": value.kind.value,
        "message_id": value.message_id,
        "answers": value.answers,
        "from": value.sender,
        "recipients": recipients(value.recipients),
        "subject": value.subject,
        "size": value.size,
        "status": value.status.value,
        "reason": value.reason or None,
        "attempts": value.attempts,
        "created_at": moment(value.created_at),
        "due_at": moment(value.due_at),
        "first_try_at": moment(value.first_try_at),
        "finished_at": moment(value.finished_at),
    }


def event(value: Event) -> Json:
    """An event."""
    return {
        "id": value.id,
        "site_id": value.site_id,
        "type": value.type,
        "at": moment(value.at),
        "thread_id": value.thread_id,
        "message_id": value.message_id,
        "submission_id": value.submission_id,
        "turn_id": value.turn_id,
        "data": dict(value.data),
    }


def turn(value: TurnRecord) -> Json:
    """A run of the agent."""
    return {
        "id": value.id,
        "site_id": value.site_id,
        "thread_id": value.thread_id,
        "message_id": value.message_id,
        "agent": value.agent,
        "attempt": value.attempt,
        "outcome": value.outcome,
        "reason": value.reason or None,
        "started_at": moment(value.started_at),
        "finished_at": moment(value.finished_at),
        "waits_until": moment(value.waits_until),
    }


def account(value: AccountStatus | None) -> Json | None:
    """What the watcher of an account is doing, and since when."""
    if value is None:
        return None
    error = {"code": value.error_code, "detail": value.error_text} if value.error_code else None
    return {
        "state": value.state.value,
        "since": moment(value.since),
        "last_sync_at": moment(value.last_sync_at),
        "next_try_at": moment(value.next_try_at),
        "last_error": error,
    }


def site(value: Site, status: AccountStatus | None) -> Json:
    """A site in a list, without its settings."""
    channel = value.settings.channels.email
    return {
        "id": value.id,
        "email": channel.email if channel else None,
        "environment": value.environment,
        "paused": value.settings.paused,
        "version": value.version,
        "created_at": moment(value.created_at),
        "updated_at": moment(value.updated_at),
        "account": account(status),
    }


def token(value: SealedToken) -> Json:
    """A secure token; never its value."""
    return {
        "id": value.id,
        "site_id": value.site_id,
        "token_type": value.token_type,
        "identifier": value.identifier,
        "created_at": moment(value.created_at),
        "updated_at": moment(value.updated_at),
    }


def key(value: ApiKey) -> Json:
    """An API key; never its secret."""
    return {
        "id": value.id,
        "label": value.label,
        "site_id": value.site_id,
        "created_at": moment(value.created_at),
        "last_used_at": moment(value.last_used_at),
        "revoked_at": moment(value.revoked_at),
    }


def worker(value: WorkerSeen) -> Json:
    """A process that watches accounts."""
    return {
        "id": value.worker.id,
        "host": value.worker.host,
        "role": value.worker.role,
        "since": moment(value.worker.started_at),
        "last_seen_at": moment(value.seen_at),
        "state": "live" if value.live else "gone",
        "accounts": value.accounts,
    }
