"""The request bodies of both source documents, word for word, through the API of the running service."""

import json
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import DEFAULT_ADDRESS, INCOMING_TOKEN, make_sender
from tests.support.certificates import CertificateAuthority
from tests.support.in_thread import running
from tests.support.scripted_imap import Peer, ScriptedImap
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.served import Served

STORE_THE_PASSWORD = """{
"site_id": "your-site-uuid",
"token_type": "email",
"identifier": "user@example.com",
"value": "your-app-password",
"store_in_db": true
}"""

UPDATE_THE_SETTINGS = """{
"channels": {
"email": {
"email": "user@example.com",
"incomingServer": "imap.gmail.com",
"incomingPort": 993,
"outgoingServer": "smtp.gmail.com",
"outgoingPort": 587,
"aliases": ["support@example.com"]
}
}
}"""

VERIFY_THE_CONNECTION = """{
"site_id": "your-site-uuid",
"use_saved_credentials": true
}"""

SEND_AN_EMAIL = """{
"site_id": "your-site-uuid",
"to": "customer@example.com",
"subject": "Hello",
"content": "Message body..."
}"""

INCOMING_EMAIL = """{
  "from_address": "user@example.com",
  "to_address": "cleo@yourdomain.com",
  "subject": "Re: Question",
  "body": "Plain text body of the email",
  "message_id": "<optional Message-ID header>",
  "in_reply_to": "<optional In-Reply-To>",
  "references": "<ref1> <ref2>"
}"""

SITE = "your-site-uuid"
AS_JSON = {"content-type": "application/json"}


@pytest.fixture
def fresh(admin: httpx2.Client) -> httpx2.Client:
    """The documents' site does not exist yet."""
    admin.delete(f"/api/sites/{SITE}")
    return admin


def post(client: httpx2.Client, path: str, body: str, **headers: str) -> httpx2.Response:
    return client.post(path, content=body, headers=AS_JSON | headers)


def test_a1_the_password_is_stored(fresh: httpx2.Client) -> None:
    stored = post(fresh, "/api/secure-tokens/encrypt", STORE_THE_PASSWORD)
    assert stored.status_code == 200
    assert stored.json()["success"] is True
    assert set(stored.json()["data"]) == {"id", "encrypted_value", "stored_in_db"}
    assert stored.json()["data"]["stored_in_db"] is True
    assert "your-app-password" not in stored.text


def test_a2_the_settings_are_taken_and_given_back_in_full(fresh: httpx2.Client) -> None:
    # Without a password nobody is connected to: tests talk to loopback alone.
    settings = fresh.patch(f"/api/sites/{SITE}/settings", content=UPDATE_THE_SETTINGS, headers=AS_JSON)
    assert settings.status_code == 200
    wanted: dict[str, Any] = json.loads(UPDATE_THE_SETTINGS)["channels"]["email"]
    assert wanted.items() <= settings.json()["channels"]["email"].items()
    nothing = post(fresh, "/api/agents/email/check", VERIFY_THE_CONNECTION)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_saved")


async def welcoming(peer: Peer) -> None:
    """An IMAP server for the check and for the watcher, which may come at any time."""
    await peer.log_in()
    while not peer.gone:
        command = await peer.receive()
        if command.name == "STATUS":
            await peer.send("* STATUS INBOX (MESSAGES 2 UNSEEN 1 UIDNEXT 3 UIDVALIDITY 1)")
        await peer.send(f"{command.tag} {'BAD not here' if command.name == 'SELECT' else 'OK'}")


def test_a1_a2_a3_the_three_steps_in_the_documents_order(
    fresh: httpx2.Client, authority: CertificateAuthority
) -> None:
    context = authority.localhost().context()
    with (
        running(ScriptedImap(welcoming, tls=context)) as imap,
        running(ScriptedSmtp(tls=context, starttls=True)) as smtp,
    ):
        assert post(fresh, "/api/secure-tokens/encrypt", STORE_THE_PASSWORD).status_code == 200
        loopback = UPDATE_THE_SETTINGS.replace("imap.gmail.com", "localhost")
        loopback = loopback.replace("smtp.gmail.com", "localhost").replace("993", str(imap.address[1]))
        settings = loopback.replace("587", str(smtp.port))
        path = f"/api/sites/{SITE}/settings"
        assert fresh.patch(path, content=settings, headers=AS_JSON).status_code == 200
        checked = post(fresh, "/api/agents/email/check", VERIFY_THE_CONNECTION)
        assert checked.status_code == 200
        body = checked.json()
        assert (body["success"], body["imap"]["code"], body["smtp"]["code"]) == (True, "ok", "ok")
        assert body["imap"]["messages"] == {"total": 2, "unseen": 1}
        assert "your-app-password" not in checked.text
        assert "your-app-password" in smtp.credentials[0]
        fresh.delete(f"/api/sites/{SITE}")


def test_a4_an_email_is_sent(fresh: httpx2.Client, smtp: ScriptedSmtp) -> None:
    make_sender(fresh, SITE, smtp.port)
    sent = post(fresh, "/api/agents/tools/sendEmail", SEND_AN_EMAIL)
    assert sent.status_code == 201
    assert sent.json()["status"] == "sent"
    (mail,) = smtp.messages
    assert mail.recipients == ("customer@example.com",)
    assert b"Subject: Hello\r\n" in mail.data
    assert b"Message body..." in mail.data


def test_b3_an_incoming_email_is_taken(service: Served, admin: httpx2.Client) -> None:
    assert json.loads(INCOMING_EMAIL)["to_address"] == DEFAULT_ADDRESS
    with service.client(None) as provider:
        bearer = {"Authorization": f"Bearer {INCOMING_TOKEN}"}
        taken = post(provider, "/email/incoming", INCOMING_EMAIL, **bearer)
        again = post(provider, "/email/incoming", INCOMING_EMAIL, **bearer)
    assert (taken.status_code, taken.json()["status"]) == (202, "accepted")
    assert (again.status_code, again.json()["status"]) == (202, "duplicate")
    thread = admin.get(f"/api/threads/{taken.json()['thread_id']}").json()
    assert thread["thread_key"] == "ref1"
    assert thread["items"][0]["from"]["address"] == "user@example.com"


def test_the_bodies_are_those_of_the_published_examples(admin: httpx2.Client) -> None:
    document = admin.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for name, body in [
        ("EncryptRequest", STORE_THE_PASSWORD),
        ("CheckRequest", VERIFY_THE_CONNECTION),
        ("SendRequest", SEND_AN_EMAIL),
        ("IncomingRequest", INCOMING_EMAIL),
    ]:
        assert schemas[name]["examples"] == [json.loads(body)]
    patch = document["paths"]["/api/sites/{site_id}/settings"]["patch"]["requestBody"]["content"]
    assert patch["application/json"]["example"] == json.loads(UPDATE_THE_SETTINGS)
