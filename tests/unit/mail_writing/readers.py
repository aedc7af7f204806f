"""Two independent readers of what we write: the standard library and fast_mail_parser."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.parser import BytesParser

import fast_mail_parser

from postroom.mail.compose import Draft, compose
from postroom.mail.message import Address

WHEN = datetime(2025, 11, 21, 14, 5, tzinfo=UTC)
ANN = Address("Ann Example", "ann@example.org")
DESK = Address("Example Desk", "desk@example.com")


@dataclass(frozen=True)
class Read:
    """What a reader makes of a message; line ends of texts are LF, ids have no angle brackets."""

    from_: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    subject: str
    message_id: str
    in_reply_to: str | None
    references: tuple[str, ...]
    text: str
    html: str | None
    files: tuple[tuple[str, str, bytes], ...]


def expected(draft: Draft) -> Read:
    """What a reader should make of `draft`."""
    return Read(
        from_=draft.from_,
        to=draft.to,
        cc=draft.cc,
        reply_to=draft.reply_to,
        subject=draft.subject,
        message_id=draft.message_id,
        in_reply_to=draft.in_reply_to,
        references=draft.references,
        text=draft.text,
        html=draft.html,
        files=tuple((file.filename, file.content_type, file.content) for file in draft.attachments),
    )


def read_by_stdlib(raw: bytes) -> Read:
    message = parsed(raw)
    body, html = message.get_body(("plain",)), message.get_body(("html",))
    assert body is not None
    return Read(
        from_=_stdlib_addresses(message, "from")[0],
        to=_stdlib_addresses(message, "to"),
        cc=_stdlib_addresses(message, "cc"),
        reply_to=_stdlib_addresses(message, "reply-to"),
        subject=message["subject"],
        message_id=_ids(message["message-id"])[0],
        in_reply_to=next(iter(_ids(message["in-reply-to"])), None),
        references=_ids(message["references"]),
        text=_lf(body.get_content()),
        html=None if html is None else _lf(html.get_content()),
        files=tuple(
            (part.get_filename() or "", part.get_content_type(), _decoded(part))
            for part in message.iter_attachments()
        ),
    )


def read_by_fast_mail_parser(raw: bytes) -> Read:
    mail = fast_mail_parser.parse_email(raw, strict=True)
    assert mail.from_ is not None
    return Read(
        from_=_fast_addresses([mail.from_])[0],
        to=_fast_addresses(mail.to),
        cc=_fast_addresses(mail.cc),
        reply_to=_fast_addresses(mail.reply_to),
        subject=mail.subject,
        message_id=_ids(mail.headers["Message-ID"][0])[0],
        in_reply_to=next(iter(_ids(mail.headers.get("In-Reply-To", [None])[0])), None),
        references=_ids(mail.headers.get("References", [None])[0]),
        text=_lf(mail.text_plain[0]),
        html=_lf(mail.text_html[0]) if mail.text_html else None,
        files=tuple((file.filename, file.mimetype, file.content) for file in mail.attachments),
    )


Reader = Callable[[bytes], Read]
BOTH: tuple[Reader, ...] = (read_by_stdlib, read_by_fast_mail_parser)


def parsed(raw: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)


def defects(raw: bytes) -> list[object]:
    """What the strict reader of the standard library finds wrong with any part."""
    message = message_from_bytes(raw, policy=policy.default)
    return [defect for part in message.walk() for defect in part.defects]


def draft(
    text: str = "Thank you.",
    html: str | None = "<p>Thank you.</p>",
    **changes: object,
) -> Draft:
    """A plain answer, with `changes`."""
    values: dict[str, object] = {
        "from_": DESK,
        "to": (ANN,),
        "subject": "Re: Question",
        "message_id": "p.1@example.com",
        "date": WHEN,
    }
    return Draft(text=text, html=html, **(values | changes))  # type: ignore[arg-type]  # one place for all fields


def written(**changes: object) -> bytes:
    """The bytes of `draft(**changes)`."""
    return compose(draft(**changes))  # type: ignore[arg-type]  # passes on whatever field is named


def header(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[0] + b"\r\n"


def field_as_written(raw: bytes, name: str) -> bytes:
    """The value of the field `name` with its folds, as it stands on the wire."""
    value = (b"\r\n" + header(raw)).partition(b"\r\n" + name.encode() + b": ")[2]
    lines = value.split(b"\r\n")
    folded = [line for line in lines[1:] if line.startswith(b" ")]
    return b"\r\n".join([lines[0], *folded[: _leading_folds(lines)]])


def assert_fit_for_the_wire(raw: bytes) -> None:
    """RFC 5322 section 2.1.1, RFC 5321 section 2.3.8: CRLF only, lines of at most 998 octets, 7 bits."""
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n")
    assert b"\0" not in raw
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def _leading_folds(lines: list[bytes]) -> int:
    return next((n for n, line in enumerate(lines[1:]) if not line.startswith(b" ")), len(lines) - 1)


def _stdlib_addresses(message: EmailMessage, name: str) -> tuple[Address, ...]:
    field: AddressHeader | None = message[name]
    if field is None:
        return ()
    return tuple(Address(each.display_name, each.addr_spec) for each in field.addresses)


def _fast_addresses(addresses: list[fast_mail_parser.PyAddress]) -> tuple[Address, ...]:
    return tuple(Address(each.display_name or "", each.address) for each in addresses)


def _ids(value: str | None) -> tuple[str, ...]:
    return tuple(str(value).strip("<>").split("> <")) if value else ()


def _decoded(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def _lf(text: str) -> str:
    return text.replace("\r\n", "\n")
