"""One service for all API tests of a worker; each test uses a site of its own.

Its environment's mailbox (site `default`) is webhook-only and submits to `sink`. Loopback is allowed, so that
sites can be given scripted servers.
"""

import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest

from postroom.sandbox.server import Sandbox, sandbox
from tests.support.certificates import CertificateAuthority
from tests.support.in_thread import running
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.served import Served, eventually, served

_numbers = count()

INCOMING_TOKEN = "incoming-token-of-the-default-site"
DEFAULT_ADDRESS = "cleo@yourdomain.com"
PASSWORD = "a-very-secret-app-password"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def sink(authority: CertificateAuthority) -> Iterator[ScriptedSmtp]:
    """The submission server of the environment's mailbox."""
    with running(ScriptedSmtp(tls=authority.localhost().context())) as server:
        yield server


@pytest.fixture
def smtp(authority: CertificateAuthority) -> Iterator[ScriptedSmtp]:
    """A submission server of the test's own, with TLS from the start."""
    with running(ScriptedSmtp(tls=authority.localhost().context())) as server:
        yield server


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, sink: ScriptedSmtp
) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("api")
    environment = {
        "ENABLED_CLIENTS": "email",
        "EMAIL_USER": DEFAULT_ADDRESS,
        "EMAIL_PASSWORD": PASSWORD,
        "EMAIL_SMTP_HOST": "localhost",
        "EMAIL_SMTP_PORT": str(sink.port),
        "EMAIL_SMTP_SECURITY": "tls",
        "POSTROOM_INCOMING_TOKEN": INCOMING_TOKEN,
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(authority.ca_file),
    }
    with served(folder, environment) as running_service:
        yield running_service


@pytest.fixture(scope="session")
def mailboxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Mail servers with real mailboxes."""
    with running(sandbox(tmp_path_factory.mktemp("sandbox"))) as servers:
        yield servers


@pytest.fixture(scope="session")
def mail_service(tmp_path_factory: pytest.TempPathFactory, mailboxes: Sandbox) -> Iterator[Served]:
    """A service whose environment's mailbox, both@postroom.test, is read; it takes posts for it, too."""
    environment = {
        "ENABLED_CLIENTS": "email",
        "EMAIL_USER": "both@postroom.test",
        "EMAIL_PASSWORD": mailboxes.password,
        "EMAIL_SMTP_HOST": mailboxes.host,
        "EMAIL_SMTP_PORT": str(mailboxes.smtp_port),
        "EMAIL_IMAP_HOST": mailboxes.host,
        "EMAIL_IMAP_PORT": str(mailboxes.imap_port),
        "EMAIL_POLL_INTERVAL_SECONDS": "1",
        "POSTROOM_INCOMING_TOKEN": INCOMING_TOKEN,
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(mailboxes.ca_file),
    }
    with served(tmp_path_factory.mktemp("mail"), environment) as running_service:
        yield running_service


def submit(mailboxes: Sandbox, message: EmailMessage) -> None:
    """Send a mail as its author's mail program does."""
    with smtplib.SMTP(mailboxes.host, mailboxes.smtp_port) as server:
        server.starttls(context=ssl.create_default_context(cafile=str(mailboxes.ca_file)))
        server.login("anybody@example.org", mailboxes.password)
        server.send_message(message)


@pytest.fixture
def admin(service: Served) -> Iterator[httpx2.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def site_id() -> str:
    return f"site-{next(_numbers)}"


def channel(site_id: str, **changes: Any) -> dict[str, Any]:
    """Settings of an account whose servers do not exist (nothing listens on the ports)."""
    return {
        "channels": {
            "email": {
                "email": f"{site_id}@example.com",
                "incomingServer": "imap.invalid",
                "outgoingServer": "smtp.invalid",
                **changes,
            }
        }
    }


@pytest.fixture
def site(admin: httpx2.Client, site_id: str) -> str:
    """A site that exists."""
    assert admin.patch(f"/api/sites/{site_id}/settings", json=channel(site_id)).status_code == 200
    return site_id


@pytest.fixture
def sender(admin: httpx2.Client, site_id: str, smtp: ScriptedSmtp) -> str:
    """A site that submits to `smtp`, with its password and an alias; it reads no mailbox."""
    make_sender(admin, site_id, smtp.port)
    return site_id


def make_sender(admin: httpx2.Client, site_id: str, port: int, **settings: Any) -> None:
    """Make a site that submits to a port of loopback and reads no mailbox, with an alias and a password."""
    account = channel(
        site_id,
        incomingServer=None,
        outgoingServer="localhost",
        outgoingPort=port,
        outgoingSecurity="tls",
        displayName="Desk",
        aliases=[f"{site_id}-sales@example.com"],
    )
    assert admin.patch(f"/api/sites/{site_id}/settings", json=account | settings).status_code == 200
    store_token(admin, site_id, "email", f"{site_id}@example.com", PASSWORD)


def store_token(admin: httpx2.Client, site_id: str, kind: str, identifier: str, value: str) -> None:
    """Store a secure token."""
    body = {
        "site_id": site_id,
        "token_type": kind,
        "identifier": identifier,
        "value": value,
        "store_in_db": True,
    }
    assert admin.post("/api/secure-tokens/encrypt", json=body).status_code == 200


def open_webhook(admin: httpx2.Client, site_id: str) -> str:
    """Give the site an incoming token; returns it."""
    value = f"incoming-token-of-{site_id}"
    store_token(admin, site_id, "incoming", "provider", value)
    return value


def post_mail(client: httpx2.Client, site_id: str, text: str = "Hello?", **changes: Any) -> dict[str, Any]:
    """Hand a mail in by webhook (the site's token is made); gives the answer."""
    body = {
        "from_address": f"Ann <ann@{site_id}.example.org>",
        "to_address": f"{site_id}@example.com",
        "subject": "Question",
        "body": text,
        **changes,
    }
    bearer = {"Authorization": f"Bearer {open_webhook(client, site_id)}"}
    answer = client.post("/email/incoming", json=body, headers=bearer)
    assert answer.status_code == 202, answer.text
    taken: dict[str, Any] = answer.json()
    return taken


def site_client(service: Served, admin: httpx2.Client, site: str) -> httpx2.Client:
    """A client with a key for that site alone."""
    made = admin.post("/api/keys", json={"site_id": site})
    assert made.status_code == 201
    return service.client(made.json()["key"])


def pointers(response: httpx2.Response) -> list[str]:
    """Where a problem document says that the faults are."""
    return [error["pointer"] for error in response.json()["errors"]]


def in_state(client: httpx2.Client, site_id: str, state: str, number: int = 1) -> list[dict[str, Any]]:
    """The site's messages in this state, once there are so many."""

    def found() -> list[dict[str, Any]]:
        page = client.get(f"/api/sites/{site_id}/messages", params={"state": state, "limit": 200})
        items: list[dict[str, Any]] = page.json()["items"]
        return items if len(items) >= number else []

    items: list[dict[str, Any]] = eventually(found)
    return items
