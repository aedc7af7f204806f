"""Builds the mail values that the tests of robots, reports and trust look at."""

from email.utils import getaddresses

from postroom.mail.message import Address, AttachedFile, Headers, Mail
from postroom.mail.report import Report


def mail(
    *fields: tuple[str, str],
    text: str = "Hello, could you tell me your opening hours?",
    subject: str = "Opening hours",
    sender: str = "Ada <ada@example.org>",
    to: str = "desk@example.net",
    reply_to: str = "",
    message_id: str = "one@example.org",
    in_reply_to: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
    attachments: tuple[AttachedFile, ...] = (),
) -> Mail:
    """A mail as the parser would hand it over; `fields` are its further header fields, on top."""
    author = next(iter(_addresses(sender)), None)
    headers = (*fields, ("From", sender), ("To", to), ("Subject", subject))
    return Mail(
        headers=Headers(headers),
        message_id=message_id,
        in_reply_to=in_reply_to,
        references=references,
        subject=subject,
        author=author,
        from_=author,
        reply_to=_addresses(reply_to),
        to=_addresses(to),
        cc=(),
        date=None,
        text=text,
        html=None,
        attachments=attachments,
    )


def _addresses(value: str) -> tuple[Address, ...]:
    return tuple(Address(name, address) for name, address in getaddresses([value]) if address)


def part(content_type: str, content: str, filename: str = "") -> AttachedFile:
    """An attached part of that type."""
    return AttachedFile(0, filename, content_type, "", "", content.encode())


def said(report: Report) -> list[tuple[str, str, str, bool]]:
    """Address, action, status and whether it passes, of each recipient."""
    return [(r.address, r.action, r.status, r.temporary) for r in report.recipients]
