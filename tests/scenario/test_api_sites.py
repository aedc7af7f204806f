"""A1, A2, D11: sites, settings and secure tokens through the API."""

from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import channel, pointers, site_client
from tests.support.served import Served

ENCRYPT = "/api/secure-tokens/encrypt"


def token(site: str, **changes: Any) -> dict[str, Any]:
    return {
        "site_id": site,
        "token_type": "email",
        "identifier": f"{site}@example.com",
        "value": "a-very-secret-app-password",
        "store_in_db": True,
        **changes,
    }


def test_a1_encrypting_stores_on_request_and_never_gives_the_value(
    admin: httpx2.Client, service: Served, site_id: str
) -> None:
    first = admin.post(ENCRYPT, json=token(site_id))
    assert first.status_code == 200
    data = first.json()["data"]
    assert first.json()["success"] is True
    assert data["stored_in_db"] is True
    assert data["id"]
    listed = admin.get("/api/secure-tokens", params={"site_id": site_id})
    assert [item["id"] for item in listed.json()["items"]] == [data["id"]]
    for text in (first.text, listed.text, service.log_text()):
        assert "a-very-secret-app-password" not in text


def test_a1_by_default_nothing_is_stored(admin: httpx2.Client, site: str) -> None:
    body = token(site)
    del body["store_in_db"]
    answer = admin.post(ENCRYPT, json=body).json()
    assert answer["data"]["id"] is None
    assert answer["data"]["stored_in_db"] is False
    assert answer["data"]["encrypted_value"]
    assert admin.get("/api/secure-tokens", params={"site_id": site}).json()["items"] == []


def test_a1_storing_again_replaces_the_value_and_keeps_the_id(admin: httpx2.Client, site: str) -> None:
    first = admin.post(ENCRYPT, json=token(site)).json()["data"]
    second = admin.post(ENCRYPT, json=token(site, value="another")).json()["data"]
    assert second["id"] == first["id"]
    assert second["encrypted_value"] != first["encrypted_value"]


def test_a1_a_token_can_be_deleted(admin: httpx2.Client, site: str) -> None:
    made = admin.post(ENCRYPT, json=token(site)).json()["data"]
    assert admin.delete(f"/api/secure-tokens/{made['id']}").status_code == 204
    assert admin.delete(f"/api/secure-tokens/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"site_id": ""}, "/site_id"),
        ({"site_id": "a b"}, "/site_id"),
        ({"site_id": "x" * 65}, "/site_id"),
        ({"site_id": 7}, "/site_id"),
        ({"token_type": ""}, "/token_type"),
        ({"token_type": "e\nmail"}, "/token_type"),
        ({"identifier": ""}, "/identifier"),
        ({"identifier": "a\r\nb"}, "/identifier"),
        ({"identifier": "x" * 321}, "/identifier"),
        ({"value": ""}, "/value"),
        ({"value": None}, "/value"),
        ({"value": "x" * 70_000}, "/value"),
        ({"value": "nul\x00"}, "/value"),
        ({"store_in_db": "yes"}, "/store_in_db"),
        ({"surprise": 1}, "/surprise"),
    ],
)
def test_a1_bad_input_names_the_field_and_stores_nothing(
    admin: httpx2.Client, site: str, change: dict[str, Any], pointer: str
) -> None:
    answer = admin.post(ENCRYPT, json=token(site, **change))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointers(answer) == [pointer]
    assert admin.get("/api/secure-tokens", params={"site_id": site}).json()["items"] == []


@pytest.mark.parametrize("name", ["site_id", "token_type", "identifier", "value"])
def test_a1_missing_fields_are_named(admin: httpx2.Client, site: str, name: str) -> None:
    body = token(site)
    del body[name]
    answer = admin.post(ENCRYPT, json=body)
    assert answer.status_code == 422
    assert pointers(answer) == [f"/{name}"]


def test_a2_a_patch_answers_the_full_settings(admin: httpx2.Client, site_id: str) -> None:
    answer = admin.patch(f"/api/sites/{site_id}/settings", json=channel(site_id, aliases=["s@example.org"]))
    assert answer.status_code == 200
    email = answer.json()["channels"]["email"]
    assert (email["incomingPort"], email["outgoingPort"]) == (993, 587)
    assert email["aliases"] == ["s@example.org"]
    assert answer.json()["answerWithinHours"] == 72
    assert answer.json()["caps"] == {
        "threadPer10Min": 5,
        "threadPer2Hours": 20,
        "correspondentPerDay": 30,
        "newSendersPerHour": 200,
    }
    assert admin.get(f"/api/sites/{site_id}/settings").json() == answer.json()


def test_a2_a_merge_patch_changes_what_it_names_and_null_takes_back(admin: httpx2.Client, site: str) -> None:
    path = f"/api/sites/{site}/settings"
    admin.patch(path, json={"signature": "Kind regards", "caps": {"threadPer10Min": None}})
    changed = admin.patch(path, json={"signature": None, "quote": True}).json()
    assert changed["signature"] is None
    assert changed["quote"] is True
    assert changed["channels"]["email"]["email"] == f"{site}@example.com"


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"chanels": {}}, "/chanels"),
        ({"channels": {"email": {"incomingPort": "993"}}}, "/channels/email/incomingPort"),
        ({"channels": {"email": {"incomingPort": 0}}}, "/channels/email/incomingPort"),
        ({"channels": {"email": {"outgoingPort": 70000}}}, "/channels/email/outgoingPort"),
        ({"channels": {"email": {"email": "not an address"}}}, "/channels/email/email"),
        ({"channels": {"email": {"email": "a@b.com\r\nX: y"}}}, "/channels/email/email"),
        ({"channels": {"email": {"incomingServer": "http://x/"}}}, "/channels/email/incomingServer"),
        ({"channels": {"email": {"incomingServer": "a\nb"}}}, "/channels/email/incomingServer"),
        ({"channels": {"email": {"incomingSecurity": "none"}}}, "/channels/email/incomingSecurity"),
        ({"channels": {"email": {"aliases": "a@b.com"}}}, "/channels/email/aliases"),
        ({"channels": {"email": {"aliases": ["a@b.com", 3]}}}, "/channels/email/aliases/1"),
        ({"channels": {"email": {"displayName": "a\u2028b"}}}, "/channels/email/displayName"),
        ({"channels": {"email": {"imapServer": "x"}}}, "/channels/email/imapServer"),
        ({"start": "yesterday"}, "/start"),
        ({"mark": "read"}, "/mark"),
        ({"answerWithinHours": 0}, "/answerWithinHours"),
        ({"watch": ["IN\nBOX"]}, "/watch/0"),
        ({"quote": "yes"}, "/quote"),
        ({"owner": "nobody"}, "/owner"),
        ({"allow": ["somebody"]}, "/allow/0"),
        ({"caps": {"threadPer10Min": -1}}, "/caps/threadPer10Min"),
        ({"caps": {"perMinute": 1}}, "/caps/perMinute"),
        ({"agent": {"type": "python"}}, "/agent"),
        ({"agent": {"type": "http", "url": "ftp://x"}}, "/agent/url"),
        ({"agent": {"type": "http", "url": "https://h:99999/"}}, "/agent/url"),
        ({"agent": {"type": "http", "url": "https://h:0/"}}, "/agent/url"),
        ({"agent": {"type": "http", "url": "https://a:b@h/"}}, "/agent/url"),
        ({"agent": {"type": "llm", "model": "x", "base_url": "http://h:x/"}}, "/agent/base_url"),
        ({"agent": {"type": "http"}}, "/agent/url"),
        ({"agent": {"type": "llm", "model": ""}}, "/agent/model"),
        ({"retention": {"days": 0}}, "/retention/days"),
        ({"paused": 1}, "/paused"),
        ({"signature": "x" * 10_001}, "/signature"),
    ],
)
def test_a2_unknown_and_wrong_fields_are_refused_with_their_path(
    admin: httpx2.Client, site: str, patch: dict[str, Any], pointer: str
) -> None:
    path = f"/api/sites/{site}/settings"
    before = admin.get(path).json()
    answer = admin.patch(path, json=patch)
    assert answer.status_code == 422
    assert pointers(answer) == [pointer]
    assert admin.get(path).json() == before


def test_a2_a_new_site_cannot_be_made_of_a_bad_patch(admin: httpx2.Client, site_id: str) -> None:
    assert admin.patch(f"/api/sites/{site_id}/settings", json={"nonsense": 1}).status_code == 422
    assert admin.get(f"/api/sites/{site_id}/settings").status_code == 404


def test_a2_an_address_belongs_to_one_site(admin: httpx2.Client, site: str, site_id: str) -> None:
    other = f"{site_id}-other"
    taken = admin.patch(f"/api/sites/{other}/settings", json=channel(other, aliases=[f"{site}@EXAMPLE.com"]))
    assert taken.status_code == 409
    assert taken.json()["code"] == "address_taken"
    assert admin.get(f"/api/sites/{other}/settings").status_code == 404


def test_a2_a_site_can_be_listed_and_deleted(admin: httpx2.Client, site: str) -> None:
    page = admin.get("/api/sites", params={"limit": 200}).json()
    listed = page["items"]
    while page["next"]:
        page = admin.get("/api/sites", params={"limit": 200, "cursor": page["next"]}).json()
        listed += page["items"]
    assert site in [item["id"] for item in listed]
    assert admin.delete(f"/api/sites/{site}").status_code == 204
    assert admin.get(f"/api/sites/{site}").status_code == 404
    assert admin.delete(f"/api/sites/{site}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"{} {}", b'{"a": NaN}', b'{"quote": true, "quote": false}', b"\xff\xfe"],
)
def test_a2_what_is_no_json_object_is_refused(admin: httpx2.Client, site: str, body: bytes) -> None:
    answer = admin.patch(
        f"/api/sites/{site}/settings", content=body, headers={"content-type": "application/merge-patch+json"}
    )
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_input"


def test_d11_every_call_needs_a_key(service: Served, site: str) -> None:
    with service.client(None) as nobody, service.client("pr_wrong") as stranger:
        for client in (nobody, stranger):
            for method, path in [
                ("GET", "/api/sites"),
                ("GET", f"/api/sites/{site}/settings"),
                ("PATCH", f"/api/sites/{site}/settings"),
                ("POST", ENCRYPT),
                ("POST", "/api/agents/email/check"),
                ("POST", "/api/agents/tools/sendEmail"),
                ("GET", f"/api/sites/{site}/threads"),
                ("GET", "/api/threads/thr_x"),
                ("GET", "/api/attachments/att_x"),
                ("POST", "/api/keys"),
            ]:
                answer = client.request(method, path, json={})
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            assert nobody.get(path).status_code == 200


def test_d11_a_site_key_reaches_its_own_site_only(
    service: Served, admin: httpx2.Client, site: str, site_id: str
) -> None:
    other = f"{site_id}-b"
    admin.patch(f"/api/sites/{other}/settings", json=channel(other))
    with site_client(service, admin, site) as mine:
        assert mine.get(f"/api/sites/{site}/settings").status_code == 200
        assert [s["id"] for s in mine.get("/api/sites").json()["items"]] == [site]
        for path in ("settings", "threads", "messages", "submissions", "events"):
            foreign = mine.get(f"/api/sites/{other}/{path}")
            missing = mine.get(f"/api/sites/no-such-site/{path}")
            assert foreign.status_code == missing.status_code == 404
            assert foreign.json() == missing.json()
        assert mine.post(ENCRYPT, json=token(other)).status_code == 404
        assert mine.post("/api/keys", json={}).status_code == 403
        assert mine.delete(f"/api/sites/{site}").status_code == 403


def test_d11_a_revoked_key_is_refused_at_once(service: Served, admin: httpx2.Client, site: str) -> None:
    made = admin.post("/api/keys", json={"label": "short"}).json()
    with service.client(made["key"]) as other:
        assert other.get("/api/sites").status_code == 200
        assert admin.delete(f"/api/keys/{made['id']}").status_code == 204
        assert other.get("/api/sites").status_code == 401


def test_d11_a_bearer_token_serves_as_well_as_the_header(service: Served, admin: httpx2.Client) -> None:
    made = admin.post("/api/keys", json={}).json()
    with service.client(None) as client:
        assert client.get("/api/sites", headers={"Authorization": f"Bearer {made['key']}"}).status_code == 200
