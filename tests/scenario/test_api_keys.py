"""D11: API keys and who may do what with them; writers who come at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import channel, pointers, site_client, store_token
from tests.support.served import ADMIN_KEY, Served, served, start

KEYS = "/api/keys"


def test_d11_a_key_is_shown_once_and_listed_without_its_secret(admin: httpx2.Client, site: str) -> None:
    made = admin.post(KEYS, json={"label": "laptop", "site_id": site})
    assert made.status_code == 201
    secret = made.json()["key"]
    assert secret.startswith("pr_")
    assert len(secret) >= 40
    listed = admin.get(KEYS)
    (shown,) = [key for key in listed.json()["items"] if key["id"] == made.json()["id"]]
    assert (shown["label"], shown["site_id"], shown["revoked_at"]) == ("laptop", site, None)
    assert secret not in listed.text
    assert ADMIN_KEY not in listed.text


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"label": 5}, "/label"),
        ({"label": "x" * 201}, "/label"),
        ({"label": "a\nb"}, "/label"),
        ({"label": "environment"}, "/label"),
        ({"site_id": "a b"}, "/site_id"),
        ({"site_id": 5}, "/site_id"),
        ({"admin": True}, "/admin"),
    ],
)
def test_d11_bad_input_makes_no_key(admin: httpx2.Client, body: dict[str, Any], where: str) -> None:
    before = len(admin.get(KEYS).json()["items"])
    answer = admin.post(KEYS, json=body)
    assert answer.status_code == 422
    assert pointers(answer) == [where]
    assert len(admin.get(KEYS).json()["items"]) == before


def test_d11_a_key_is_for_a_site_that_exists(admin: httpx2.Client) -> None:
    answer = admin.post(KEYS, json={"site_id": "no-such-site"})
    assert (answer.status_code, answer.json()["code"]) == (404, "site_not_found")
    assert admin.delete(f"{KEYS}/key_none").status_code == 404


def test_d11_a_site_key_makes_lists_and_revokes_none(
    service: Served, admin: httpx2.Client, site: str
) -> None:
    made = admin.post(KEYS, json={}).json()
    with site_client(service, admin, site) as mine:
        for answer in (mine.get(KEYS), mine.post(KEYS, json={"site_id": site}), mine.delete(f"{KEYS}/x")):
            assert (answer.status_code, answer.json()["code"]) == (403, "admin_key_required")
        assert mine.delete(f"{KEYS}/{made['id']}").status_code == 403


def test_d11_a_sites_key_dies_with_the_site(service: Served, admin: httpx2.Client, site: str) -> None:
    with site_client(service, admin, site) as mine:
        assert mine.get("/api/sites").status_code == 200
        admin.delete(f"/api/sites/{site}")
        assert mine.get("/api/sites").status_code == 401
        settings = channel(site)
        assert mine.patch(f"/api/sites/{site}/settings", json=settings).status_code == 401


def test_d11_a_site_key_creates_no_site(service: Served, admin: httpx2.Client, site: str) -> None:
    with site_client(service, admin, site) as mine:
        other = mine.patch("/api/sites/quite-new/settings", json=channel("quite-new"))
        assert (other.status_code, other.json()["code"]) == (404, "site_not_found")
    assert admin.get("/api/sites/quite-new").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": "x"},
        {"x-api-key": "x" * 10_000},
        {"x-api-key": ADMIN_KEY.upper()},
        {"x-api-key": ADMIN_KEY[:-1]},
        {"Authorization": ADMIN_KEY},
        {"Authorization": f"Basic {ADMIN_KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong", "x-api-key": ADMIN_KEY},
        {"Cookie": f"key={ADMIN_KEY}"},
    ],
)
def test_d11_what_is_no_key_opens_nothing(service: Served, headers: dict[str, str]) -> None:
    with service.client(None) as client:
        answer = client.get("/api/sites", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert client.get(f"/api/sites?key={ADMIN_KEY}", headers=headers).status_code == 401


def test_d11_unauthenticated_bodies_are_not_even_judged(service: Served) -> None:
    with service.client(None) as nobody:
        for path in ("/api/secure-tokens/encrypt", "/api/agents/tools/sendEmail", "/api/keys"):
            for body in (b"{", b"[" * 500_000, b'{"site_id": "x"}'):
                assert nobody.post(path, content=body).status_code == 401


def test_d11_the_environments_key_follows_the_environment(tmp_path: Path) -> None:
    """Set, changed, changed back, taken away: each start makes true what is set."""
    first, second = "the-first-key-of-the-environment", "the-second-key-of-the-environment"

    def opens(service: Served, key: str) -> bool:
        with service.client(key) as client:
            return client.get("/api/sites").status_code == 200

    for given, other in ((first, second), (second, first), (first, second)):
        with served(tmp_path, {"POSTROOM_API_KEY": given}) as service:
            assert opens(service, given)
            assert not opens(service, other)
    unset = start(tmp_path, {"POSTROOM_API_KEY": ""})
    try:
        assert not opens(unset, first)
        made = (tmp_path / "data" / "admin-key").read_text().strip()
        assert opens(unset, made)
    finally:
        unset.kill()


# --- several at once --------------------------------------------------------------------------------


def test_a2_patches_that_come_at_once_are_all_applied(
    service: Served, admin: httpx2.Client, site: str
) -> None:
    patches: list[dict[str, Any]] = [
        {"signature": "Kind regards"},
        {"quote": True},
        {"answerWithinHours": 5},
        {"mark": "seen"},
    ]

    def change(patch: dict[str, Any]) -> int:
        with service.client() as client:
            return client.patch(f"/api/sites/{site}/settings", json=patch).status_code

    with ThreadPoolExecutor(len(patches)) as pool:
        assert set(pool.map(change, patches)) == {200}
    settings = admin.get(f"/api/sites/{site}/settings").json()
    for patch in patches:
        assert patch.items() <= settings.items()


def test_a1_a2_a_new_site_may_be_made_from_both_ends_at_once(
    service: Served, admin: httpx2.Client, site_id: str
) -> None:
    def settings() -> int:
        with service.client() as client:
            return client.patch(f"/api/sites/{site_id}/settings", json=channel(site_id)).status_code

    def token() -> int:
        with service.client() as client:
            store_token(client, site_id, "email", f"{site_id}@example.com", "pw")
            return 200

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(work) for work in (settings, token, settings, token)]
        assert {future.result() for future in done} == {200}
    assert admin.get(f"/api/sites/{site_id}").json()["email"] == f"{site_id}@example.com"
    assert len(admin.get("/api/secure-tokens", params={"site_id": site_id}).json()["items"]) == 1


def test_a1_a_token_that_an_admin_deletes_counts_at_once(admin: httpx2.Client, site: str) -> None:
    store_token(admin, site, "email", f"{site}@example.com", "pw")
    before = admin.get(f"/api/sites/{site}").json()["version"]
    (token,) = admin.get("/api/secure-tokens", params={"site_id": site}).json()["items"]
    assert admin.delete(f"/api/secure-tokens/{token['id']}").status_code == 204
    assert admin.get(f"/api/sites/{site}").json()["version"] > before
    assert admin.post("/api/agents/email/check", json={"site_id": site}).status_code == 409


def test_b1_the_environments_site_is_read_only_for_rest(admin: httpx2.Client) -> None:
    shown = admin.get("/api/sites/default").json()
    assert (shown["environment"], shown["email"]) == (True, "cleo@yourdomain.com")
    for answer in (
        admin.patch("/api/sites/default/settings", json={"quote": True}),
        admin.delete("/api/sites/default"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "read_only")
    taken = channel("thief", email="CLEO@yourdomain.com")
    answer = admin.patch("/api/sites/thief/settings", json=taken)
    assert (answer.status_code, answer.json()["code"]) == (409, "address_taken")


@pytest.mark.parametrize("depth", [51, 400, 900, 5000, 100_000])
def test_a2_deep_documents_are_refused(admin: httpx2.Client, site: str, depth: int) -> None:
    body = b'{"channels":' * depth + b"1" + b"}" * depth
    answer = admin.patch(
        f"/api/sites/{site}/settings", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (413, 422)
    assert admin.get("/healthz").status_code == 200


def test_many_faults_are_told_briefly(admin: httpx2.Client, site: str) -> None:
    patch = {f"unknown-{n}": n for n in range(5000)}
    answer = admin.patch(f"/api/sites/{site}/settings", json=patch)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 100
    assert len(answer.content) < 20_000
