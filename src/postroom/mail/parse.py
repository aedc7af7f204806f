"""Bytes of a message to a `Mail`: tolerant, bounded, linear (RFC 5322, RFC 2045 to 2049, RFC 6532)."""

import re
from collections.abc import Iterable, Mapping, Sequence

from postroom.mail import (
    address,
    attachments,
    body,
    calendar,
    charset,
    dates,
    headers,
    message_ids,
    parameters,
    structure,
)
from postroom.mail.headers import Block
from postroom.mail.message import Address, AttachedFile, Calendar, Headers, Mail
from postroom.mail.structure import Caps, Part, TooMuch

__all__ = ["Caps", "OverCaps", "parse", "parse_headers"]

_BOM = b"\xef\xbb\xbf"
_EMPTY_LINES = re.compile(rb"[\r\n]++")
_MBOX_LINE = re.compile(rb">?From (?![ \t]*:)[^\n]*\n")
_ONCE = frozenset(
    {"from", "sender", "subject", "date", "message-id", "in-reply-to", "references", "content-type"}
    | {"content-transfer-encoding"}
)
_RECIPIENT_FIELDS = ("to", "cc", "bcc")
_ADDRESS_FIELDS = ("from", "reply-to", *_RECIPIENT_FIELDS)
_LONGEST_ADDRESSES = 250_000
_MOST_SHOWN = 1_000
_CALENDAR_TYPES = frozenset({"text/calendar", "application/ics"})


class OverCaps(Exception):
    """A message that holds more than the caps allow; it is to be quarantined.

    `reason`: headers_too_large, too_deep, too_many_parts or too_many_recipients. `envelope`: its
    header fields (as far as the cap goes), without text and attachments.
    """

    def __init__(self, reason: str, envelope: Mail) -> None:
        super().__init__(reason)
        self.reason = reason
        self.envelope = envelope


def parse(raw: bytes, caps: Caps = Caps()) -> Mail:  # noqa: B008 - a frozen value
    """Reads a whole message. Raises only `OverCaps`; whatever else is wrong with it is repaired or noted."""
    raw, start = _beginning(raw)
    try:
        block = structure.read_root(raw, start, caps)
        parts = structure.walk(raw, block, caps)
        envelope = _envelope(block, _charset_told(parts), caps.recipients)
    except TooMuch as exc:
        raise OverCaps(exc.reason, parse_headers(raw, caps)) from exc
    texts = body.text_parts(parts)
    content = body.read(raw, parts, texts)
    files = attachments.collect(raw, parts, texts, content.files)
    return Mail(
        headers=envelope.headers,
        message_id=envelope.message_id,
        in_reply_to=envelope.in_reply_to,
        references=envelope.references,
        subject=envelope.subject,
        author=envelope.author,
        from_=envelope.from_,
        reply_to=envelope.reply_to,
        to=envelope.to,
        cc=envelope.cc,
        date=envelope.date,
        text=content.text,
        html=content.html,
        text_is_of_html=content.text_is_of_html,
        attachments=files,
        calendar=_calendar(parts, files),
        notes=_unique((*envelope.notes, *content.notes, *_notes(parts, files))),
    )


def parse_headers(raw: bytes, caps: Caps = Caps()) -> Mail:  # noqa: B008 - a frozen value
    """The envelope of a message: its header fields up to the cap, no text, no attachments. Never raises."""
    raw, start = _beginning(raw)
    block = headers.read_block(raw, start, caps.header_bytes)
    hint = parameters.parse(structure.value(block, b"content-type")).parameters.get("charset", "")
    return _envelope(block, hint, None)


def _beginning(raw: bytes) -> tuple[bytes, int]:
    """The bytes with line ends that can be read, and where the header block starts.

    A file with bare CR alone is brought to LF. Byte order mark, empty lines and the "From " line of
    an mbox file are skipped.
    """
    if b"\n" not in raw[:_LONGEST_ADDRESSES] and b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    start = len(_BOM) if raw.startswith(_BOM) else 0
    if match := _EMPTY_LINES.match(raw, start):
        start = match.end()
    match = _MBOX_LINE.match(raw, start)
    return raw, match.end() if match else start


def _charset_told(parts: Sequence[Part]) -> str:
    """The first charset that the message names: what raw bytes in its header are most likely in."""
    labels = (part.parameters.parameters.get("charset", "") for part in parts)
    return next(filter(None, labels), "")


def _envelope(block: Block, hint: str, most_recipients: int | None) -> Mail:
    """What the header fields say; `hint` is the charset of raw bytes in them.

    Raises `TooMuch` over `most_recipients`; with None it reads no more than is fit to be shown.
    """
    fields = headers.to_text(block, hint)
    values = _by_name(fields)
    lists = _addresses(values, most_recipients)
    from_values = values.get("from", [])
    return Mail(
        headers=fields,
        message_id=message_ids.message_id(block.first(b"message-id")),
        in_reply_to=message_ids.in_reply_to(block.first(b"in-reply-to")),
        references=message_ids.references(_references(block)),
        subject=charset.decode_header(values.get("subject", [""])[0]),
        author=_author(block, from_values),
        from_=next(iter(lists["from"]), None),
        reply_to=_addressed(lists["reply-to"]),
        to=_addressed(lists["to"]),
        cc=_addressed(lists["cc"]),
        date=dates.parse(values.get("date", [""])[0]),
        text="",
        html=None,
        notes=_header_notes(values, block),
    )


def _author(block: Block, from_values: Sequence[str]) -> Address | None:
    """D5. A NUL, which reading drops, is enough to doubt what another parser would see."""
    if b"\0" in block.first(b"from") or sum(map(len, from_values)) > _LONGEST_ADDRESSES:
        return None
    return address.parse_author(from_values)


def _references(block: Block) -> bytes:
    """All fields of that name as one: programs that may not write long lines begin another."""
    return b" ".join(value for name, value in block.fields if name.lower() == b"references")


def _by_name(fields: Headers) -> dict[str, list[str]]:
    """The values of each field by its name in lower case, in order."""
    values: dict[str, list[str]] = {}
    for name, value in fields.fields:
        values.setdefault(name.lower(), []).append(value)
    return values


def _addresses(fields: Mapping[str, list[str]], most: int | None) -> dict[str, tuple[Address, ...]]:
    """The mailboxes of each address field; fields that occur twice are read one after the other."""
    values = {name: fields.get(name, []) for name in _ADDRESS_FIELDS}
    if sum(len(value) for all_ in values.values() for value in all_) > _LONGEST_ADDRESSES:
        if most is not None:
            raise TooMuch("too_many_recipients")
        values = {name: [value[:10_000] for value in all_[:3]] for name, all_ in values.items()}
    if most is not None and any(len(all_) > most for all_ in values.values()):
        raise TooMuch("too_many_recipients")
    lists = {name: _mailboxes(name, all_, most) for name, all_ in values.items()}
    if most is not None and sum(len(lists[name]) for name in _RECIPIENT_FIELDS) > most:
        raise TooMuch("too_many_recipients")
    return lists


def _addressed(mailboxes: Sequence[Address]) -> tuple[Address, ...]:
    """Those that have an address; "undisclosed recipients" and their like have none."""
    return tuple(mailbox for mailbox in mailboxes if mailbox.address)


def _mailboxes(name: str, values: Sequence[str], most: int | None) -> tuple[Address, ...]:
    """The mailboxes in all fields `name`, read no further than one beyond `most`."""
    limit = _MOST_SHOWN if most is None else most + 1
    read = address.parse_recipients if name in _RECIPIENT_FIELDS else address.parse_addresses
    found: list[Address] = []
    for value in values[:limit]:
        found += read(value, limit - len(found))
        if len(found) >= limit:
            break
    return tuple(found)


def _header_notes(values: Mapping[str, list[str]], block: Block) -> tuple[str, ...]:
    notes = ["damaged_headers"] if block.damaged else []
    if any(len(values.get(name, ())) > 1 for name in _ONCE):
        notes.append("duplicate_header")
    return tuple(notes)


def _notes(parts: Sequence[Part], files: Sequence[AttachedFile]) -> Iterable[str]:
    """Facts about the parts: content that only other programs can read."""
    if any(
        file.content_type == "application/ms-tnef" or file.filename.lower() == "winmail.dat" for file in files
    ):
        yield "tnef"
    for part in parts:
        if part.content_type == "multipart/encrypted":
            yield "encrypted"
        elif part.content_type in {"application/pkcs7-mime", "application/x-pkcs7-mime"}:
            kind = part.parameters.parameters.get("smime-type", "").lower()
            yield "signed_inside" if kind == "signed-data" else "encrypted"


def _unique(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(notes))


def _calendar(parts: Sequence[Part], files: Sequence[AttachedFile]) -> Calendar | None:
    labelled = [part for part in parts if part.content_type in _CALENDAR_TYPES]
    invitations = [file for file in files if file.content_type in _CALENDAR_TYPES]
    for part, file in zip(labelled, invitations, strict=False):
        text, _ = charset.decode(file.content, part.parameters.parameters.get("charset", "utf-8"))
        if found := calendar.find(text, part.parameters.parameters.get("method", "")):
            return found
    return None
