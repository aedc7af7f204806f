"""Mail in memory: accounts, their mailboxes, and who listens for news."""

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

SPECIAL = {"INBOX": "", "Sent": "\\Sent", "Drafts": "\\Drafts", "Junk": "\\Junk", "Trash": "\\Trash"}


@dataclass(slots=True, eq=False)
class StoredMail:
    """One message in one mailbox. `stored_at`: by the monotonic clock, in seconds."""

    uid: int
    raw: bytes
    received_at: datetime
    flags: frozenset[str] = frozenset()
    stored_at: float = field(default_factory=time.monotonic)


class MailFolder:
    """A mailbox: messages by ascending UID."""

    def __init__(self, attribute: str = "") -> None:
        self.attribute = attribute
        self.uidvalidity = int(time.time())
        self.uidnext = 1
        self.mails: list[StoredMail] = []
        self._bells: set[asyncio.Event] = set()

    def add(self, raw: bytes, flags: Iterable[str] = (), received_at: datetime | None = None) -> StoredMail:
        """Store a message and tell who listens."""
        moment = received_at or datetime.now(UTC).replace(microsecond=0)
        mail = StoredMail(self.uidnext, raw, moment, frozenset(flags))
        self.uidnext += 1
        self.mails.append(mail)
        self._ring()
        return mail

    def flag(self, mail: StoredMail, flags: frozenset[str]) -> None:
        """Replace a message's flags and tell who listens."""
        mail.flags = flags
        self._ring()

    def expunge(self, mails: Collection[StoredMail]) -> None:
        """Remove messages for good and tell who listens."""
        self.mails = [mail for mail in self.mails if mail not in mails]
        self._ring()

    @property
    def watched(self) -> bool:
        """Whether somebody listens."""
        return bool(self._bells)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set at every change."""
        bell = asyncio.Event()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.remove(bell)

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()


class MailWorld:
    """Every account there is: made when it is first named."""

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, MailFolder]] = {}

    def account(self, address: str) -> dict[str, MailFolder]:
        """The mailboxes of an address, by name."""
        key = address.strip().lower()
        if key not in self._accounts:
            self._accounts[key] = {name: MailFolder(attribute) for name, attribute in SPECIAL.items()}
        return self._accounts[key]

    def deliver(self, sender: str, recipients: Iterable[str], raw: bytes) -> None:
        """Put a message into the inbox of each recipient, as a final delivery does (RFC 5321 section 4.4)."""
        for address in recipients:
            trace = f"Return-Path: <{sender}>\r\nDelivered-To: {address}\r\n".encode()
            self.account(address)["INBOX"].add(trace + raw)

    async def delivered(self, address: str, number: int) -> float:
        """Wait for the `number`th message (from 1) in the inbox of an address; gives when it was stored, by
        the monotonic clock."""
        inbox = self.account(address)["INBOX"]
        with inbox.listening() as bell:
            while len(inbox.mails) < number:
                bell.clear()
                await bell.wait()
        return inbox.mails[number - 1].stored_at
