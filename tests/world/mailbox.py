"""A person's mail program: the standard library's IMAP and SMTP against the real servers."""

import imaplib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid

from tests.support.served import eventually
from tests.support.world import PASSWORD, World


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address with its mailbox."""

    world: World
    address: str
    name: str

    @contextmanager
    def imap(self, folder: str = "INBOX") -> Iterator[imaplib.IMAP4_SSL]:
        """A connection with the folder selected."""
        context = ssl.create_default_context(cafile=str(self.world.ca_file))
        with imaplib.IMAP4_SSL("localhost", self.world.imaps, ssl_context=context, timeout=10) as imap:
            imap.login(self.address, PASSWORD)
            imap.select(folder)
            yield imap

    def mails(self, folder: str = "INBOX") -> list[EmailMessage]:
        """Everything in the folder, oldest first."""
        return [parsed(raw) for raw in self.world.messages(self.address, folder)]

    def flags(self, folder: str = "INBOX") -> list[set[str]]:
        """The flags of every message, oldest first, without `\\Recent`."""
        with self.imap(folder) as imap:
            _, found = imap.uid("FETCH", "1:*", "(FLAGS)")
            lines = [entry for entry in found if isinstance(entry, bytes)]
            return [{flag.decode() for flag in imaplib.ParseFlags(line)} - {"\\Recent"} for line in lines]

    def write(self, to: str, subject: str, text: str, **headers: str) -> EmailMessage:
        """A mail to somebody, not yet sent."""
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"] = f"{self.name} <{self.address}>" if self.name else self.address
        mail["To"] = to
        mail["Subject"] = subject
        mail["Message-ID"] = make_msgid(domain=self.address.rpartition("@")[2])
        for name, value in headers.items():
            mail[name.replace("_", "-")] = value
        mail.set_content(text)
        return mail

    def reply(self, to: EmailMessage, text: str, address: str | None = None) -> EmailMessage:
        """A reply as mail programs write it."""
        mail = self.write(address or str(to["From"]), str(to["Subject"]), text)
        mail["In-Reply-To"] = to["Message-ID"]
        mail["References"] = f"{to['References'] or ''} {to['Message-ID']}".strip()
        return mail

    def send(self, mail: EmailMessage, *to: str) -> EmailMessage:
        """Submit the mail."""
        context = ssl.create_default_context(cafile=str(self.world.ca_file))
        with smtplib.SMTP("localhost", self.world.submission, timeout=10) as smtp:
            smtp.starttls(context=context)
            smtp.login(self.address, PASSWORD)
            smtp.send_message(mail, to_addrs=list(to) or None)
        return mail

    def reply_to(self, mail: EmailMessage) -> EmailMessage:
        """Wait for the answer to a mail."""

        def found() -> EmailMessage | None:
            return next((m for m in self.mails() if m["In-Reply-To"] == mail["Message-ID"]), None)

        answer = eventually(found)
        assert isinstance(answer, EmailMessage)
        return answer


def parsed(raw: bytes) -> EmailMessage:
    """A message as the standard library reads it."""
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())
