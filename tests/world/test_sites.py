"""A1–A6: a site connected by REST against the real servers, and changed while it runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.served import Served, eventually, served
from tests.support.world import World
from tests.world.mailbox import Mailbox, text_of

SITE = "your-site-uuid"


@pytest.fixture
def service(world: World, tmp_path: Path) -> Iterator[Served]:
    """A service without a mailbox of its own, whose sites may use the servers on loopback."""
    extra = {
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(world.ca_file),
        "POSTROOM_AGENT": "python:tests.world.bot:words",
        "EMAIL_POLL_INTERVAL_SECONDS": "2",
    }
    with served(tmp_path, extra) as running:
        yield running


@pytest.fixture
def api(service: Served) -> Iterator[httpx2.Client]:
    with service.client() as client:
        yield client


def connect(api: httpx2.Client, world: World, address: str, password: str = "pw", **email: Any) -> None:
    """The two steps of the source document: the password, then the settings."""
    stored = {"site_id": SITE, "token_type": "email", "identifier": address, "value": password}
    assert api.post("/api/secure-tokens/encrypt", json={**stored, "store_in_db": True}).status_code == 200
    channel = {
        "email": address,
        "incomingServer": "localhost",
        "incomingPort": world.imaps,
        "outgoingServer": "localhost",
        "outgoingPort": world.submission,
        **email,
    }
    answer = api.patch(f"/api/sites/{SITE}/settings", json={"channels": {"email": channel}})
    assert answer.status_code == 200, answer.text


def account_state(api: httpx2.Client) -> str:
    account = api.get(f"/api/sites/{SITE}").json()["account"]
    return str(account["state"]) if account else ""


def watching(api: httpx2.Client) -> bool:
    return account_state(api) == "watching"


def check(api: httpx2.Client, **body: Any) -> dict[str, Any]:
    answer = api.post(
        "/api/agents/email/check", json={"site_id": SITE, "use_saved_credentials": True, **body}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a1_a2_a6_a_mailbox_connected_by_rest_is_answered(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    connect(api, world, address)
    eventually(lambda: watching(api))
    mail = ada.send(ada.write(address, "Hello", "one two"))
    assert text_of(ada.reply_to(mail)).strip() == "2 words; history 0"


def test_a3_the_check_of_a_good_account(api: httpx2.Client, world: World, address: str, ada: Mailbox) -> None:
    ada.send(ada.write(address, "Waiting", "x"))
    world.until_messages(address, 1)
    connect(api, world, address)
    found = check(api)
    assert found["success"] is True
    assert found["imap"]["code"] == found["smtp"]["code"] == "ok"
    assert found["imap"]["messages"] == {"total": 1, "unseen": 1}
    assert "IDLE" in found["imap"]["capabilities"]
    assert found["imap"]["latency_ms"] >= 0
    assert "pw" not in str(found["config"])


def test_a3_a_wrong_password_is_told_and_a_new_one_reconnects_at_once(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    connect(api, world, address, password="wrong")
    found = check(api)
    assert found["success"] is False
    assert found["imap"]["code"] == found["smtp"]["code"] == "auth_failed"
    assert found["imap"]["hint"]
    eventually(lambda: account_state(api) == "auth_failed")
    connect(api, world, address)
    eventually(lambda: watching(api))
    mail = ada.send(ada.write(address, "After", "x"))
    ada.reply_to(mail)


def test_a3_a_wrong_host_and_a_refused_port_each_have_their_code(
    api: httpx2.Client, world: World, address: str
) -> None:
    connect(api, world, address, incomingServer="no-such-host.invalid", outgoingPort=1)
    found = check(api)
    assert found["imap"]["code"] == "dns_failed"
    assert found["smtp"]["code"] == "connect_failed"
    assert found["imap"]["hint"]
    assert found["smtp"]["hint"]


def test_a3_other_credentials_can_be_tried_without_saving(
    api: httpx2.Client, world: World, address: str
) -> None:
    body = {
        "use_saved_credentials": False,
        "email": address,
        "password": "pw",
        "incoming_server": "localhost",
        "incoming_port": world.imaps,
        "outgoing_server": "localhost",
        "outgoing_port": world.submission,
        "skip_smtp": True,
    }
    answer = api.post("/api/agents/email/check", json=body).json()
    assert answer["success"] is True
    assert answer["smtp"]["skipped"] is True
    assert api.get("/api/sites").json()["items"] == []


def test_a4_sends_as_the_site_and_says_what_became_of_each_recipient(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    connect(api, world, address)
    body = {"site_id": SITE, "to": ada.address, "subject": "Hello", "content": "Message **body**..."}
    answer = api.post("/api/agents/tools/sendEmail", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "sent"
    assert answer.json()["recipients"][ada.address]["status"] == "accepted"
    received = eventually(ada.mails)[0]
    assert received["Message-ID"] == f"<{answer.json()['message_id']}>"
    assert text_of(received).rstrip("\n") == "Message **body**..."
    html = received.get_body(("html",))
    assert html is not None
    assert "<strong" in html.get_content()


def test_a4_a_reply_to_what_was_sent_first_joins_its_thread(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    connect(api, world, address)
    eventually(lambda: watching(api))
    body = {"site_id": SITE, "to": [ada.address], "subject": "First", "content": "hello"}
    sent = api.post("/api/agents/tools/sendEmail", json=body).json()
    received = eventually(ada.mails)[0]
    mail = ada.send(ada.reply(received, "thank you", address))
    assert text_of(ada.reply_to(mail)).strip() == "2 words; history 1"
    thread = api.get(f"/api/threads/{sent['thread_id']}").json()
    assert [m["direction"] for m in thread["items"]] == ["out", "in", "out"]


def test_a5_mail_to_an_alias_is_answered_from_the_alias(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    alias = f"support.{address}"
    connect(api, world, address, aliases=[alias], displayName="Support")
    eventually(lambda: watching(api))
    mail = ada.write(alias, "To the alias", "x")
    ada.send(mail, address)
    answer = ada.reply_to(mail)
    assert answer["From"] == f"Support <{alias}>"


def test_a2_settings_changed_while_running_take_effect_at_once(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    connect(api, world, address)
    eventually(lambda: watching(api))
    api.patch(f"/api/sites/{SITE}/settings", json={"signature": "The office"})
    first = ada.send(ada.write(address, "Signed", "x"))
    assert text_of(ada.reply_to(first)).rstrip().endswith("-- \nThe office")
    api.patch(f"/api/sites/{SITE}/settings", json={"block": [ada.address]})
    ada.send(ada.write(address, "Blocked", "x"))
    blocked = eventually(
        lambda: api.get(f"/api/sites/{SITE}/messages", params={"reason": "blocked"}).json()["items"]
    )
    assert blocked[0]["state"] == "no_answer"
    assert len(ada.mails()) == 1


def test_a_paused_site_reads_on_and_answers_once_it_goes_on(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    connect(api, world, address)
    eventually(lambda: watching(api))
    api.patch(f"/api/sites/{SITE}/settings", json={"paused": True})
    eventually(lambda: watching(api))
    mail = ada.send(ada.write(address, "Paused", "x"))
    eventually(lambda: api.get(f"/api/sites/{SITE}/messages", params={"state": "due"}).json()["items"])
    assert ada.mails() == []
    api.patch(f"/api/sites/{SITE}/settings", json={"paused": False})
    ada.reply_to(mail)


def test_a_deleted_site_is_gone_with_everything(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    connect(api, world, address)
    eventually(lambda: watching(api))
    mail = ada.send(ada.write(address, "Soon gone", "x"))
    ada.reply_to(mail)
    assert api.delete(f"/api/sites/{SITE}").status_code == 204
    assert api.get("/api/sites").json()["items"] == []
    assert api.get("/api/secure-tokens").json()["items"] == []
    connect(api, world, address)
    assert api.get(f"/api/sites/{SITE}/messages").json()["items"] == []


def test_the_server_down_and_up_again_loses_nothing(
    api: httpx2.Client, world: World, address: str, ada: Mailbox
) -> None:
    connect(api, world, address)
    eventually(lambda: watching(api))
    world.stop_dovecot()
    found = check(api)
    assert found["imap"]["code"] == "connect_failed"
    eventually(lambda: account_state(api) == "backing_off")
    world.start_dovecot()
    mail = ada.write(address, "Meanwhile", "x")
    world.deliver(address, mail.as_bytes(), ada.address)
    ada.reply_to(mail)
