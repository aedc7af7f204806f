"""Mail in memory: accounts, their mailboxes, and who listens for news."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

SPECIAL = {"INBOX": "", "Sent": "\\Sent", "Drafts": "\\Drafts", "Junk": "\\Junk", "Trash": "\\Trash"}


@dataclass(slots=True)
class StoredMail:
    """One message in one mailbox."""

    uid: int
    raw: bytes
    received_at: datetime
    flags: set[str] = field(default_factory=set)


class MailFolder:
    """A mailbox: messages by ascending UID."""

    def __init__(self) -> None:
        self.uidvalidity = int(time.time())
        self.uidnext = 1
        self.mails: list[StoredMail] = []
        self.changed = asyncio.Condition()

    async def add(self, raw: bytes, flags: Iterable[str] = (), received_at: datetime | None = None) -> int:
        """Store a message and tell who listens; gives its UID."""
        uid = self.uidnext
        self.uidnext += 1
        moment = received_at or datetime.now(UTC).replace(microsecond=0)
        self.mails.append(StoredMail(uid, raw, moment, set(flags)))
        async with self.changed:
            self.changed.notify_all()
        return uid

    def chosen(self, ranges: str) -> list[tuple[int, StoredMail]]:
        """Messages with their sequence numbers whose UID lies in a set such as `1:5,7,9:*`."""
        highest = self.mails[-1].uid if self.mails else 0
        spans = [_span(part, highest) for part in ranges.split(",")]
        return [
            (number, mail)
            for number, mail in enumerate(self.mails, 1)
            if any(low <= mail.uid <= high for low, high in spans)
        ]


def _span(part: str, highest: int) -> tuple[int, int]:
    first, _, last = part.partition(":")
    ends = [highest if end == "*" else int(end) for end in (first, last or first)]
    return min(ends), max(ends)


class MailWorld:
    """Every account there is: made when it is first named."""

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, MailFolder]] = {}

    def account(self, address: str) -> dict[str, MailFolder]:
        """The mailboxes of an address, by name."""
        key = address.strip().lower()
        if key not in self._accounts:
            self._accounts[key] = {name: MailFolder() for name in SPECIAL}
        return self._accounts[key]

    async def deliver(self, recipients: Iterable[str], raw: bytes) -> None:
        """Put a message into the inbox of each recipient."""
        for address in recipients:
            header = b"Delivered-To: " + address.encode() + b"\r\n"
            await self.account(address)["INBOX"].add(header + raw)
