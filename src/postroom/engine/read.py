"""From bytes to a message of ours: pure, so that it can run off the event loop."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from postroom.core.model import (
    AttachmentInfo,
    Direction,
    Message,
    MessageState,
    Place,
    Role,
    Source,
    TrustLevel,
    new_id,
)
from postroom.mail import automatic, parse, quote, thread
from postroom.mail.authresults import trust
from postroom.mail.message import AttachedFile, Mail
from postroom.mail.report import Report, parse_report


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message as it reached us. `raw` is the whole of it; when only its header section was fetched
    because of its size, `oversize` is True. `history`: it was there before the account was; `exempt`: the
    site's `start` asked for it, however old. `key`: the id that the message gets, when it is fixed."""

    source: Source
    raw: bytes = field(repr=False)
    received_at: datetime
    size: int
    place: Place | None = None
    role: Role = Role.INBOX
    flags: frozenset[str] = frozenset()
    history: bool = False
    exempt: bool = False
    oversize: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an arrival says. `message` has no thread and no verdict yet; `fault` is why it cannot be used."""

    arrived: Arrived
    message: Message
    cited: tuple[str, ...]
    own_hop: bool = False
    report: Report | None = None
    fault: str = ""


def read(
    site_id: str, arrived: Arrived, authserv_ids: Collection[str], secret: bytes, now: datetime
) -> Reading:
    """Parse one arrival. Never raises: what cannot be read comes back with its `fault`.

    `authserv_ids`: whose verdict on the sender counts; `secret`: what our own ids and marks are signed with.
    """
    try:
        mail = parse.parse_headers(arrived.raw) if arrived.oversize else parse.parse(arrived.raw)
        return _reading(site_id, arrived, mail, authserv_ids, secret, now)
    except parse.OverCaps as exc:
        return _unreadable(site_id, arrived, exc.envelope, f"over_caps_{exc.reason}", now)
    except Exception:  # noqa: BLE001 - poison must not block the mailbox; its bytes are kept
        return unreadable(site_id, arrived, "unreadable", now)
    except BaseException as exc:
        # How an extension written in Rust says that it is broken; it is no Exception.
        if type(exc).__name__ != "PanicException":
            raise
        return unreadable(site_id, arrived, "unreadable", now)


def unreadable(site_id: str, arrived: Arrived, fault: str, now: datetime) -> Reading:
    """What is kept of an arrival that cannot be used at all: where it lies, and why."""
    return _unreadable(site_id, arrived, parse.parse_headers(b"\r\n"), fault, now)


def _reading(
    site_id: str,
    arrived: Arrived,
    mail: Mail,
    authserv_ids: Collection[str],
    secret: bytes,
    now: datetime,
) -> Reading:
    reply = quote.of(mail)
    sign = automatic.classify(mail)
    level = (
        TrustLevel(trust(mail, authserv_ids).level) if mail.author else _without_author(mail, authserv_ids)
    )
    message = _message(site_id, arrived, mail, now, reply.new_text, level, f"{sign.kind}" if sign else "")
    return Reading(
        arrived,
        message,
        cited=thread.cited_ids(mail),
        own_hop=thread.has_own_hop(mail, secret, site_id),
        report=parse_report(mail) if sign else None,
    )


def _without_author(mail: Mail, authserv_ids: Collection[str]) -> TrustLevel:
    # Nobody can be verified as the author when there is none; a failing verdict still counts.
    failed = trust(mail, authserv_ids).level == TrustLevel.FAILED.value
    return TrustLevel.FAILED if failed else TrustLevel.UNKNOWN


def _unreadable(site_id: str, arrived: Arrived, envelope: Mail, fault: str, now: datetime) -> Reading:
    message = _message(site_id, arrived, envelope, now, "", TrustLevel.UNKNOWN, "")
    return Reading(arrived, message, cited=(), fault=fault)


def _message(
    site_id: str, arrived: Arrived, mail: Mail, now: datetime, new_text: str, level: TrustLevel, robot: str
) -> Message:
    outgoing = arrived.role is Role.SENT
    return Message(
        id=arrived.key or new_id("msg", now),
        site_id=site_id,
        thread_id="",
        direction=Direction.OUT if outgoing else Direction.IN,
        source=Source.SENT if outgoing else arrived.source,
        message_id=mail.message_id,
        in_reply_to=mail.in_reply_to,
        references=mail.references,
        sender=mail.author,
        reply_to=mail.reply_to,
        to=mail.to,
        cc=mail.cc,
        subject=mail.subject,
        date=mail.date,
        received_at=arrived.received_at,
        text=mail.text,
        new_text=new_text,
        html=mail.html,
        attachments=tuple(attachment_info(item, now) for item in mail.attachments),
        trust=level,
        content_key=thread.content_key(mail) if mail.message_id else thread.identity_key(mail),
        raw="",
        size=arrived.size,
        state=MessageState.SENT if outgoing else MessageState.DUE,
        automatic=robot,
        notes=mail.notes,
        delivered_to=_delivered_to(mail),
    )


def attachment_info(item: AttachedFile, now: datetime) -> AttachmentInfo:
    """What is kept of an attachment beside the raw message."""
    return AttachmentInfo(
        id=new_id("att", now),
        index=item.index,
        filename=item.filename,
        content_type=item.content_type,
        size=item.size,
        sha256=item.sha256,
        content_id=item.content_id,
        disposition=item.disposition,
    )


def _delivered_to(mail: Mail) -> str:
    # The topmost one is the last server's, our own; those below came with the mail.
    for name in ("Delivered-To", "X-Original-To", "Envelope-To"):
        value = mail.headers.get(name).strip().strip("<>")
        if "@" in value:
            return value[:320]
    return ""
