"""FETCH: which parts of a message are asked for, and how they are said (RFC 9051 section 7.5.2)."""

import re
from dataclasses import dataclass

from postroom.imap.tokens import Value, as_text
from postroom.sandbox.imap_view import flag_list
from postroom.sandbox.mailboxes import StoredMail

_SECTION = re.compile(r"BODY(?P<peek>\.PEEK)?\[(?P<name>[^\]]*)\](?:<(?P<start>\d+)\.(?P<length>\d+)>)?")
_FIELDS = re.compile(r"HEADER\.FIELDS(?P<not>\.NOT)? \((?P<names>[^)]*)\)")
_MACROS = {"FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE")}
_OLD_NAMES = {"RFC822": "BODY[]", "RFC822.HEADER": "BODY.PEEK[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}
_PLAIN = ("UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE")


@dataclass(frozen=True, slots=True)
class Section:
    """One `BODY[…]`: its name, the bytes of it that are wanted, and whether reading it marks as read."""

    name: str
    start: int | None
    length: int
    peek: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """The items of one FETCH."""

    plain: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def marks_as_read(self) -> bool:
        """Whether messages are seen by it."""
        return any(not section.peek for section in self.sections)


def wanted(value: Value, *, by_uid: bool) -> Wanted:
    """What the last argument of a FETCH asks for. Raises `ValueError` for what is not known here."""
    words = [as_text(item).upper() for item in (value if isinstance(value, tuple) else (value,))]
    items = [item for word in words for item in _MACROS.get(word, (_OLD_NAMES.get(word, word),))]
    plain = tuple(item for item in items if item in _PLAIN)
    sections = tuple(_section(item) for item in items if item not in _PLAIN)
    return Wanted(("UID", *plain) if by_uid and "UID" not in plain else plain, sections)


def _section(item: str) -> Section:
    match = _SECTION.fullmatch(item)
    if match is None:
        raise ValueError("this item is not known here")
    start = int(match["start"]) if match["start"] else None
    section = Section(match["name"], start, int(match["length"] or 0), bool(match["peek"]))
    _content(b"", section.name)
    return section


def fetched(number: int, mail: StoredMail, items: Wanted) -> bytes:
    """The response for one message."""
    parts = [_plain(item, mail).encode() for item in items.plain]
    for section in items.sections:
        content = _content(mail.raw, section.name)
        origin = ""
        if section.start is not None:
            content = content[section.start : section.start + section.length]
            origin = f"<{section.start}>"
        parts.append(f"BODY[{section.name}]{origin} {{{len(content)}}}\r\n".encode() + content)
    return b"* %d FETCH (%b)" % (number, b" ".join(parts))


def _plain(item: str, mail: StoredMail) -> str:
    match item:
        case "UID":
            return f"UID {mail.uid}"
        case "FLAGS":
            return f"FLAGS {flag_list(mail.flags)}"
        case "INTERNALDATE":
            return f'INTERNALDATE "{mail.received_at:%d-%b-%Y %H:%M:%S %z}"'
        case _:
            return f"RFC822.SIZE {len(mail.raw)}"


def _content(raw: bytes, name: str) -> bytes:
    header, _, body = raw.partition(b"\r\n\r\n")
    if not name:
        return raw
    if name == "HEADER":
        return header + b"\r\n\r\n"
    if name == "TEXT":
        return body
    match = _FIELDS.fullmatch(name)
    if match is None:
        raise ValueError("this section is not known here")
    names = {field.lower().encode() for field in match["names"].replace('"', "").split()}
    kept = (
        field
        for field in header_fields(header)
        if (field.partition(b":")[0].strip().lower() in names) is not bool(match["not"])
    )
    return b"".join(field + b"\r\n" for field in kept) + b"\r\n"


def header_fields(header: bytes) -> list[bytes]:
    """The fields of a header section, each with its folded lines."""
    return re.split(rb"\r\n(?![ \t])", header)
