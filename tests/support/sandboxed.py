"""The sandbox's mailboxes as a test sees them: what the service is told of them, and what lies in them."""

import smtplib
import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid

from postroom.sandbox.server import Sandbox
from tests.support.served import eventually

ADA = "ada@example.test"


def mailbox_environment(servers: Sandbox, address: str) -> dict[str, str]:
    """The variables that make `address` the service's own mailbox."""
    return {
        "ENABLED_CLIENTS": "email",
        "EMAIL_USER": address,
        "EMAIL_PASSWORD": servers.password,
        "EMAIL_IMAP_HOST": servers.host,
        "EMAIL_IMAP_PORT": str(servers.imap_port),
        "EMAIL_SMTP_HOST": servers.host,
        "EMAIL_SMTP_PORT": str(servers.smtp_port),
        "POSTROOM_TLS_CA_FILE": str(servers.ca_file),
    }


def letter(to: str, subject: str, text: str) -> EmailMessage:
    """A mail from Ada."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = f"Ada Example <{ADA}>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Message-ID"] = make_msgid(domain="example.test")
    mail.set_content(text)
    return mail


def post(servers: Sandbox, mail: EmailMessage) -> EmailMessage:
    """Submit a mail as Ada's mail program does."""
    with smtplib.SMTP(servers.host, servers.smtp_port, timeout=10) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(servers.ca_file)))
        smtp.login(ADA, servers.password)
        smtp.send_message(mail)
    return mail


def mails(servers: Sandbox, address: str, folder: str = "INBOX") -> list[EmailMessage]:
    """What lies in a mailbox, oldest first."""
    found = list(servers.world.account(address)[folder].mails)
    return [_parsed(mail.raw) for mail in found]


def answer_to(servers: Sandbox, mail: EmailMessage) -> EmailMessage:
    """The answer to a mail of Ada's, once it has come."""

    def found() -> EmailMessage | None:
        inbox = mails(servers, ADA)
        return next((m for m in inbox if m["In-Reply-To"] == mail["Message-ID"]), None)

    answer = eventually(found)
    assert isinstance(answer, EmailMessage)
    return answer


def plain_text(mail: EmailMessage) -> str:
    """The text of a mail, trimmed."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).strip()


def _parsed(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail
