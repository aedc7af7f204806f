"""A reading as the JSON line that programs get; docs/reference/inspect.md says what each field means."""

import json
import re
from collections.abc import Iterable
from typing import Any

from postroom.inspect.files import File
from postroom.inspect.reading import Reading
from postroom.mail.message import Address, AttachedFile, Calendar
from postroom.mail.report import Report

Json = dict[str, Any]

_BREAKS_LINES = re.compile("[\x7f-\x9f\u2028\u2029]")


def line(document: Json) -> bytes:
    """`document` as one line of UTF-8 with its line end, whatever counts as a line end to the reader."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    text = _BREAKS_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode("utf-8", "replace") + b"\n"


def failure(file: File) -> Json:
    """The record of a file that could not be read."""
    return {"file": file.name, "error": file.error}


def record(file: File, reading: Reading) -> Json:
    """Everything that Postroom reads in a mail."""
    mail = reading.mail
    return {
        "file": file.name,
        "message_id": mail.message_id,
        "in_reply_to": list(mail.in_reply_to),
        "references": list(mail.references),
        "subject": mail.subject,
        "from": _address(mail.author),
        "to": _addresses(mail.to),
        "cc": _addresses(mail.cc),
        "date": mail.date.isoformat().replace("+00:00", "Z") if mail.date else None,
        "text": mail.text,
        "new_text": reading.reply.new_text,
        "quoted": reading.reply.quoted,
        "signature": reading.reply.signature,
        "html": mail.html,
        "attachments": [_attachment(item) for item in mail.attachments],
        "automatic": _automatic(reading),
        "report": _report(reading.report),
        "trust": reading.trust,
        "thread_key": reading.thread_key,
        "calendar": _calendar(mail.calendar),
        "quarantined": reading.quarantined or None,
        "notes": list(reading.notes),
    }


def _address(value: Address | None) -> Json | None:
    return {"name": value.name, "address": value.address} if value else None


def _addresses(values: Iterable[Address]) -> list[Json]:
    return [{"name": value.name, "address": value.address} for value in values]


def _attachment(value: AttachedFile) -> Json:
    return {
        "filename": value.filename,
        "content_type": value.content_type,
        "disposition": value.disposition,
        "content_id": value.content_id or None,
        "size": value.size,
        "sha256": value.sha256,
    }


def _automatic(reading: Reading) -> Json:
    sign = reading.automatic
    return {
        "is": sign is not None,
        "kind": sign.kind if sign else None,
        "reason": sign.reason if sign else None,
    }


def _report(value: Report | None) -> Json | None:
    if value is None:
        return None
    recipients = [
        {"address": r.address, "action": r.action, "status": r.status, "temporary": r.temporary}
        for r in value.recipients
    ]
    return {"recipients": recipients, "returned_message_id": value.returned_message_id}


def _calendar(value: Calendar | None) -> Json | None:
    if value is None:
        return None
    return {"method": value.method, "summary": value.summary, "start": value.start, "end": value.end}
