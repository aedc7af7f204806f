"""B3 and B9: mail that a provider posts, who may post it, and what strangers learn (nothing)."""

import json
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from tests.scenario.conftest import (
    DEFAULT_ADDRESS,
    INCOMING_TOKEN,
    make_sender,
    open_webhook,
    store_token,
)
from tests.support.posting import INCOMING, basic, bearer, numbers, post, stored
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.served import Served, eventually, served


@pytest.fixture
def provider(service: Served) -> Iterator[httpx2.Client]:
    """A mail provider: no API key."""
    with service.client(None) as client:
        yield client


# --- taken --------------------------------------------------------------------------------------


def test_b3_a_posted_mail_is_stored_and_answered(
    provider: httpx2.Client, admin: httpx2.Client, sink: ScriptedSmtp
) -> None:
    body = post(
        from_address="Ann Example <ann-b3@example.org>",
        in_reply_to="<before@example.org>",
        references="<first@example.org> <before@example.org>",
    )
    answer = provider.post(INCOMING, json=body, headers=bearer())
    assert answer.status_code == 202
    assert set(answer.json()) == {"status", "message_id", "thread_id"}
    assert answer.json()["status"] == "accepted"
    assert answer.json()["message_id"] == body["message_id"].strip("<>")
    (message,) = stored(admin, body["message_id"])
    assert message["thread_id"] == answer.json()["thread_id"]
    assert message["from"] == {"name": "Ann Example", "address": "ann-b3@example.org"}
    assert message["to"] == [{"name": "", "address": DEFAULT_ADDRESS}]
    assert message["subject"] == "Re: Question"
    assert message["text"].strip() == "Plain text body of the email"
    assert message["references"] == ["first@example.org", "before@example.org"]
    assert message["in_reply_to"] == ["before@example.org"]
    assert (message["source"], message["trust"]) == ("webhook", "claimed")
    assert admin.get(f"/api/threads/{message['thread_id']}").json()["thread_key"] == "first@example.org"

    def reply() -> bytes | None:
        return next((m.data for m in sink.messages if m.recipients == ("ann-b3@example.org",)), None)

    assert f"In-Reply-To: {body['message_id']}".encode() in eventually(reply)


def test_b3_only_the_three_documented_fields_are_required(
    provider: httpx2.Client, admin: httpx2.Client
) -> None:
    body = {"from_address": "bare@example.org", "to_address": DEFAULT_ADDRESS, "body": "bare"}
    answer = provider.post(INCOMING, json=body, headers=bearer())
    assert answer.status_code == 202
    assert answer.json()["message_id"] is None
    thread = admin.get(f"/api/threads/{answer.json()['thread_id']}").json()
    assert thread["thread_key"] == "email:bare@example.org"


def test_b3_unknown_fields_are_ignored(provider: httpx2.Client, admin: httpx2.Client) -> None:
    body = post(html="<b>x</b>", headers={"X": ["y"]}, attachments=[1, 2], spam_score=0.1, from_="x")
    assert provider.post(INCOMING, json=body, headers=bearer()).status_code == 202
    (message,) = stored(admin, body["message_id"])
    assert message["html"] is None
    assert message["attachments"] == []


@pytest.mark.parametrize("shown", [bearer(), basic(INCOMING_TOKEN), basic(INCOMING_TOKEN, "")])
def test_b3_the_token_may_come_as_bearer_or_as_basic_password(
    provider: httpx2.Client, shown: dict[str, str]
) -> None:
    assert provider.post(INCOMING, json=post(), headers=shown).status_code == 202
    lower = {"Authorization": shown["Authorization"].replace("B", "b", 1)}
    assert provider.post(INCOMING, json=post(), headers=lower).status_code == 202


def test_b3_a_standard_webhooks_signature_is_taken(
    provider: httpx2.Client, admin: httpx2.Client, site_id: str, smtp: ScriptedSmtp
) -> None:
    make_sender(admin, site_id, smtp.port)
    secret = "whsec_" + b64encode(b"a secret of thirty-two bytes....").decode()
    store_token(admin, site_id, "incoming", "signed", secret)
    body = json.dumps(post(to_address=f"{site_id}@example.com"))

    def signed(moment: datetime, key: str = secret, text: str = body) -> dict[str, str]:
        signature = Webhook(key).sign("msg_1", moment, text)
        return {
            "content-type": "application/json",
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": signature,
        }

    now = datetime.now(UTC)
    for headers in (
        signed(now - timedelta(minutes=6)),
        signed(now, "whsec_" + b64encode(b"another").decode()),
        signed(now, text=body + " "),
        signed(now) | {"webhook-signature": "v1,"},
        signed(now) | {"webhook-signature": "v2," + "A" * 43 + "="},
        signed(now) | {"webhook-timestamp": "soon"},
        signed(now) | {"webhook-id": "msg_2"},
    ):
        assert provider.post(INCOMING, content=body, headers=headers).status_code == 401
    first = provider.post(INCOMING, content=body, headers=signed(now))
    assert (first.status_code, first.json()["status"]) == (202, "accepted")
    again = provider.post(INCOMING, content=body, headers=signed(now))
    assert (again.status_code, again.json()["status"]) == (202, "duplicate")


def test_b3_one_of_several_tokens_of_a_site_is_enough_and_a_deleted_one_is_not(
    provider: httpx2.Client, admin: httpx2.Client, sender: str
) -> None:
    old, new = open_webhook(admin, sender), "the-new-token-of-this-site"
    store_token(admin, sender, "incoming", "new", new)
    body = {"to_address": f"{sender}@example.com"}
    for token in (old, new):
        assert provider.post(INCOMING, json=post(**body), headers=bearer(token)).status_code == 202
    listed = admin.get("/api/secure-tokens", params={"site_id": sender}).json()["items"]
    (gone,) = [t["id"] for t in listed if (t["token_type"], t["identifier"]) == ("incoming", "provider")]
    assert admin.delete(f"/api/secure-tokens/{gone}").status_code == 204
    assert provider.post(INCOMING, json=post(**body), headers=bearer(old)).status_code == 401
    assert provider.post(INCOMING, json=post(**body), headers=bearer(new)).status_code == 202


def test_b3_mail_to_an_alias_belongs_to_the_site(
    provider: httpx2.Client, admin: httpx2.Client, sender: str
) -> None:
    token = open_webhook(admin, sender)
    body = post(to_address=f"Sales <{sender.upper()}-Sales@EXAMPLE.com>")
    assert provider.post(INCOMING, json=body, headers=bearer(token)).status_code == 202


def test_b3_header_values_may_be_folded_as_they_stood_in_the_mail(
    provider: httpx2.Client, admin: httpx2.Client
) -> None:
    body = post(
        subject="A long\r\n subject",
        references="<a@example.org>\r\n\t<b@example.org>\n <c@example.org><d@example.org>",
        in_reply_to="\t<d@example.org>\r\n ",
    )
    body["message_id"] += "\n "
    assert provider.post(INCOMING, json=body, headers=bearer()).status_code == 202
    (message,) = stored(admin, body["message_id"].strip())
    assert message["subject"] == "A long subject"
    assert message["references"] == [f"{n}@example.org" for n in "abcd"]


def test_b3_bodies_in_every_script_and_of_some_size(provider: httpx2.Client, admin: httpx2.Client) -> None:
    text = "日本語 🙂 — naïve \x00 \ud800 end\r\n.\r\n" + "line\n" * 50_000
    body = post(body=text)
    answer = provider.post(
        INCOMING, content=json.dumps(body), headers=bearer() | {"content-type": "application/json"}
    )
    assert answer.status_code == 202
    (message,) = stored(admin, body["message_id"])
    assert message["text"].startswith("日本語 🙂 — naïve")
    assert message["text"].rstrip().endswith("line")


# --- once ---------------------------------------------------------------------------------------


def test_b3_the_same_message_twice_is_a_duplicate(provider: httpx2.Client, admin: httpx2.Client) -> None:
    body = post()
    first = provider.post(INCOMING, json=body, headers=bearer()).json()
    second = provider.post(INCOMING, json=body, headers=bearer())
    assert second.status_code == 202
    assert second.json() == first | {"status": "duplicate"}
    assert len(stored(admin, body["message_id"])) == 1


def test_d2_the_same_id_with_another_author_or_body_is_another_message(
    provider: httpx2.Client, admin: httpx2.Client
) -> None:
    body = post()
    for changed in ({}, {"from_address": "mallory@example.net"}, {"body": "Something else"}):
        answer = provider.post(INCOMING, json=body | changed, headers=bearer())
        assert answer.json()["status"] == "accepted"
    assert len(stored(admin, body["message_id"])) == 3


def test_b3_many_at_once_are_one_message(service: Served, admin: httpx2.Client) -> None:
    body = post()

    def once() -> str:
        with service.client(None) as client:
            return str(client.post(INCOMING, json=body, headers=bearer()).json()["status"])

    with ThreadPoolExecutor(8) as pool:
        words = [future.result() for future in [pool.submit(once) for _ in range(8)]]
    assert sorted(words) == ["accepted"] + ["duplicate"] * 7
    assert len(stored(admin, body["message_id"])) == 1


def without_id(**changes: Any) -> dict[str, Any]:
    body = post(**changes)
    del body["message_id"]
    return body


def test_b3_d2_posts_without_an_id_merge_only_under_one_key(
    provider: httpx2.Client, admin: httpx2.Client
) -> None:
    sender = f"no-id-{next(numbers)}@example.org"
    body = without_id(from_address=sender)
    words = [provider.post(INCOMING, json=body, headers=bearer()).json()["status"] for _ in range(2)]
    assert words == ["accepted", "accepted"]
    key = bearer() | {"Idempotency-Key": f"incoming-{sender}"}
    first = provider.post(INCOMING, json=body, headers=key)
    again = provider.post(INCOMING, json=body | {"provider_try": 2}, headers=key)
    assert (first.json()["status"], again.json()["status"]) == ("accepted", "duplicate")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["thread_id"] == first.json()["thread_id"]
    other = provider.post(INCOMING, json=body | {"body": "other"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    page = admin.get("/api/sites/default/messages", params={"direction": "in", "limit": 200}).json()
    assert len([m for m in page["items"] if m["from"] and m["from"]["address"] == sender]) == 3


# --- who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("wrong"),
        {"Authorization": "Bearer"},
        bearer(INCOMING_TOKEN + "x"),
        bearer(INCOMING_TOKEN[:-1]),
        basic("wrong"),
        basic("", INCOMING_TOKEN),
        {"Authorization": "Basic !!!"},
        {"Authorization": f"Token {INCOMING_TOKEN}"},
        {"Authorization": INCOMING_TOKEN},
        {"x-api-key": INCOMING_TOKEN},
        {"webhook-signature": "v1,AAAA"},
    ],
)
def test_b3_a_wrong_token_is_401(
    provider: httpx2.Client, admin: httpx2.Client, headers: dict[str, str]
) -> None:
    body = post()
    answer = provider.post(INCOMING, json=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert stored(admin, body["message_id"]) == []


def test_b3_an_api_key_does_not_open_the_webhook(admin: httpx2.Client, service: Served) -> None:
    assert admin.post(INCOMING, json=post()).status_code == 401


def test_b3_an_address_of_no_or_of_another_site_is_404_before_duplicates(
    provider: httpx2.Client, admin: httpx2.Client, sender: str
) -> None:
    token = open_webhook(admin, sender)
    body = post()
    assert provider.post(INCOMING, json=body, headers=bearer()).status_code == 202
    answers = [
        provider.post(INCOMING, json=body, headers=bearer(token)),  # known, but the other site's
        provider.post(INCOMING, json=post(), headers=bearer(token)),
        provider.post(INCOMING, json=post(to_address=f"{sender}@example.com"), headers=bearer()),
        provider.post(INCOMING, json=post(to_address="nobody@example.net"), headers=bearer()),
        provider.post(INCOMING, json=post(to_address="no address"), headers=bearer()),
    ]
    assert {a.status_code for a in answers} == {404}
    assert len({a.text for a in answers}) == 1


def test_b3_who_has_no_token_learns_nothing(
    provider: httpx2.Client, admin: httpx2.Client, sender: str
) -> None:
    known = post()
    provider.post(INCOMING, json=known, headers=bearer())
    open_webhook(admin, sender)
    requests: list[dict[str, Any]] = [
        {"json": known},  # known already
        {"json": post()},
        {"json": post(to_address=f"{sender}@example.com")},  # a site with a token of its own
        {"json": post(to_address="nobody@example.net")},  # nobody's
        {"json": {"to_address": DEFAULT_ADDRESS}},  # incomplete
        {"json": post(subject=5, to_address=[1])},
        {"content": b"{"},
        {"content": b""},
        {"content": b"\xff" * 100},
        {"content": b"[" * 1_000_000},
    ]
    for shown in ({}, bearer("wrong"), basic("wrong"), {"webhook-signature": "v1,AAAA"}):
        answers = [provider.post(INCOMING, **request, headers=shown) for request in requests]
        assert {a.status_code for a in answers} == {401}
        assert len({a.text for a in answers}) == 1
        assert len({tuple(k for k in a.headers if k != "date") for a in answers}) == 1


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service in which no incoming token is set anywhere."""
    folder: Path = tmp_path_factory.mktemp("closed")
    with served(folder) as running_service:
        yield running_service


def test_b3_without_any_token_the_webhook_is_closed(closed: Served) -> None:
    with closed.client(None) as provider, closed.client() as admin:
        for headers in (
            {},
            {"Authorization": "Bearer"},
            bearer("anything"),
            basic(""),
            {"webhook-signature": "v1,AAAA"},
        ):
            answer = provider.post(INCOMING, json=post(), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "webhook_closed")
        account = {"channels": {"email": {"email": "late@example.com"}}}
        assert admin.patch("/api/sites/late/settings", json=account).status_code == 200
        token = open_webhook(admin, "late")
        late = post(to_address="late@example.com")
        assert provider.post(INCOMING, json=late, headers=bearer("anything")).status_code == 401
        assert provider.post(INCOMING, json=late, headers=bearer(token)).status_code == 202
        (gone,) = [t["id"] for t in admin.get("/api/secure-tokens").json()["items"]]
        admin.delete(f"/api/secure-tokens/{gone}")
        assert provider.post(INCOMING, json=late, headers=bearer(token)).status_code == 404
