"""Ada, who writes to the agent of the demo with a mail program of her own: SMTP and IMAP from the standard
library."""

import asyncio
import imaplib
import smtplib
import ssl
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import localtime, make_msgid

from postroom.sandbox.server import Sandbox

ADDRESS = "ada@example.test"
NAME = "Ada Example"
PRICES = "item,price\npaper,4.20\nink,17.00\n"
TIMEOUT = 10.0


class Correspondent:
    """A person with a mailbox on the sandbox."""

    address = ADDRESS

    def __init__(self, servers: Sandbox) -> None:
        self._servers = servers
        self._context = ssl.create_default_context(cafile=str(servers.ca_file))

    async def send(self, mail: EmailMessage) -> None:
        """Hand the mail to the submission server, and keep a copy in Sent."""
        await asyncio.to_thread(self._send, mail)

    async def answer_to(self, mail: EmailMessage) -> EmailMessage:
        """The mail in the inbox that answers this one. Raises `LookupError`."""
        for found in await asyncio.to_thread(self._mails, "INBOX"):
            if found["In-Reply-To"] == mail["Message-ID"]:
                return found
        raise LookupError("no answer to this mail")

    async def conversation(self) -> list[EmailMessage]:
        """Inbox and Sent together, in the order of the conversation."""
        folders = [await asyncio.to_thread(self._mails, name) for name in ("INBOX", "Sent")]
        return sorted((mail for folder in folders for mail in folder), key=_depth)

    def _send(self, mail: EmailMessage) -> None:
        with smtplib.SMTP(self._servers.host, self._servers.smtp_port, timeout=TIMEOUT) as smtp:
            smtp.starttls(context=self._context)
            smtp.login(self.address, self._servers.password)
            smtp.send_message(mail)
        with self._imap() as imap:
            imap.append("Sent", "(\\Seen)", imaplib.Time2Internaldate(time.time()), mail.as_bytes())

    def _mails(self, folder: str) -> list[EmailMessage]:
        with self._imap() as imap:
            imap.select(folder, readonly=True)
            _, found = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
            return [_parsed(part[1]) for part in found if isinstance(part, tuple)]

    def _imap(self) -> imaplib.IMAP4_SSL:
        servers = self._servers
        imap = imaplib.IMAP4_SSL(servers.host, servers.imap_port, ssl_context=self._context, timeout=TIMEOUT)
        imap.login(self.address, servers.password)
        return imap


def first_mail(to: str) -> EmailMessage:
    """What Ada writes first."""
    mail = _from_ada(to, "Prices for the office", "Hello,\n\ncould you look at the list of prices?\n\nAda\n")
    mail.add_attachment(PRICES.encode(), maintype="text", subtype="csv", filename="prices.csv")
    return mail


def second_mail(to: str, answer: EmailMessage) -> EmailMessage:
    """What Ada writes below the answer, as mail programs do."""
    quoted = "\n".join(f"> {line}".rstrip() for line in text_of(answer).strip().splitlines())
    text = f"Thank you! And what did I ask before?\n\nOn {answer['Date']}, {to} wrote:\n{quoted}\n"
    mail = _from_ada(to, str(answer["Subject"]), text)
    mail["In-Reply-To"] = answer["Message-ID"]
    mail["References"] = f"{answer['References']} {answer['Message-ID']}"
    return mail


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(("plain",))
    return str(part.get_content()) if part is not None else ""


def _from_ada(to: str, subject: str, text: str) -> EmailMessage:
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = f"{NAME} <{ADDRESS}>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = localtime()
    mail["Message-ID"] = make_msgid(domain=ADDRESS.rpartition("@")[2])
    mail.set_content(text)
    return mail


def _parsed(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def _depth(mail: EmailMessage) -> int:
    return len(str(mail["References"] or "").split())
