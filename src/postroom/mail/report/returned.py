"""Finds which message a report returns: its Message-ID, in a part, in the text, or as what is cited."""

import re
from collections.abc import Iterator

from postroom.mail import charset
from postroom.mail.message import AttachedFile, Mail

_RETURNED_TYPES = (
    "message/rfc822",
    "message/global",
    "message/rfc822-headers",
    "message/global-headers",
    "text/rfc822-headers",
    "text/rfc822-header",
    "text/rfc822",
)
_LOOKED_AT = 200_000
_MESSAGE_ID = re.compile(
    r"^[>| \t]*(?:X-)?(?:Original-)?Message-ID[ \t]*:\s*(?:<([^<>\s]+)>|([^<>\s]+@[^<>\s]+))",
    re.IGNORECASE | re.MULTILINE,
)
_NESTED = re.compile(r"^Content-Type:\s*(?:message/rfc822|message/global|text/rfc822-headers)", re.I | re.M)
_HEADER_LINE = re.compile(
    r"(?:Received|Return-Path|From|To|Cc|Subject|Date|Message-ID|MIME-Version|Sender|Reply-To|"
    r"DKIM-Signature|DomainKey-Signature|Content-Type|User-Agent|X-[\w-]{1,60}|ARC-[\w-]{1,40}|"
    r"Authentication-Results)[ \t]*:",
    re.IGNORECASE,
)
_STRONG_HEADER = re.compile(
    r"(?:Received|Return-Path|Message-ID|MIME-Version|DKIM-Signature|DomainKey-Signature|"
    r"ARC-[\w-]{1,40}|X-[\w-]{1,60})[ \t]*:",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?<![^\s<>\"(,;:])[^\s<>\"(),;:@]{1,256}@[^\s<>\"(),;:@]{1,255}")
_RECEIVED_FOR = re.compile(
    r"^[ \t>]{0,20}(?:Received:.{0,400}?)?[ \t]for <?([^\s<>;@]{1,256}@[^\s<>;@]{1,255})>?;?", re.I | re.M
)
_MICROSOFT = re.compile(r"^X-HmXmrOriginalRecipient:[ \t]*<?([^\s<>;@]{1,256}@[^\s<>;@]{1,255})", re.I | re.M)
_TO = re.compile(r"^To:(.{1,2000}(?:\n[ \t].{1,2000}){0,20})", re.I | re.M)
_RULE = re.compile(
    r"-{2,}\s*(?:this is a copy of|below this line|original message|the header of the original|"
    r"enclosed is a copy|unsent message|returned message|forwarded message|message header)|"
    r"-{2,}\s*original (?:message|mail)|message headers? follow|original (?:message|mail) (?:follow|header)|"
    r"(?:included|below) is a copy of the (?:message|original)",
    re.IGNORECASE,
)


def returned_message_id(mail: Mail, named: str = "") -> str:
    """The Message-ID, without angle brackets, of the message that the report `mail` is about.

    `named` is what the report's own field says, if anything. Empty when nothing tells.
    """
    cited = (id_ for id_ in (*mail.in_reply_to[::-1], *mail.references[::-1]) if id_ != mail.message_id)
    candidates = (_bare(named), *map(_id_in, _returned_texts(mail)), *cited)
    return next(filter(None, candidates), "")


def _returned_texts(mail: Mail) -> Iterator[str]:
    for file in mail.attachments:
        if _holds_message(file):
            yield charset.decode(file.content[:_LOOKED_AT])[0]
    text = mail.text[:_LOOKED_AT]
    yield split_report(text)[1]
    yield text


def _holds_message(file: AttachedFile) -> bool:
    kind = file.content_type.lower().partition(";")[0].strip()
    if kind in _RETURNED_TYPES or file.filename.lower().endswith(".eml"):
        return True
    return kind == "text/plain" and b":" in file.content[:80]


def _id_in(text: str) -> str:
    """The Message-ID of the message that `text` holds; of a report that was returned, of its message."""
    text = text.replace("\r\n", "\n")
    start = 0
    while "multipart/report" in text[start : _header_end(text, start)].lower():
        nested = _NESTED.search(text, _header_end(text, start))
        if nested is None:
            break
        start = _header_end(text, nested.start())
    found = _MESSAGE_ID.search(text, start) or _MESSAGE_ID.search(text)
    return (found[1] or found[2] or "") if found else ""


def _header_end(text: str, start: int) -> int:
    """Where the blank line below the header that begins at `start` ends."""
    end = text.find("\n\n", start)
    return len(text) if end < 0 else end + 2


def recipients_of(header: str) -> tuple[str, ...]:
    """Whom a returned message went to: the envelope as its newest Received field has it, else To.

    Microsoft takes the addresses out of what people complain about, and names one in a field of its own.
    """
    envelope = _MICROSOFT.search(header) or _RECEIVED_FOR.search(header)
    if envelope is not None:
        return (envelope[1],)
    to = _TO.search(header)
    return tuple(found[0] for found in _ADDRESS.finditer(to[1])) if to else ()


def returned_recipients(mail: Mail) -> tuple[str, ...]:
    """Whom the message that `mail` returns went to, if its header came along."""
    found = (recipients_of(text) for text in _returned_texts(mail))
    return next(filter(None, found), ())


def _bare(written: str) -> str:
    found = re.search(r"<([^<>\s]+)>", written)
    return found[1] if found else written.strip()


def split_report(text: str) -> tuple[str, str]:
    """The text of a report and, apart, the message returned below it (empty when there is none)."""
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if _RULE.search(line[:200]) or _opens_header(lines, place):
            return "\n".join(lines[:place]), "\n".join(lines[place:])
    return text, ""


def _opens_header(lines: list[str], place: int) -> bool:
    """Whether a message's header begins at this line: two fields, one of which only mail systems write."""
    if not _HEADER_LINE.match(lines[place]):
        return False
    names = [line for line in lines[place : place + 8] if _HEADER_LINE.match(line)]
    return len(names) > 1 and any(_STRONG_HEADER.match(line) for line in names)
