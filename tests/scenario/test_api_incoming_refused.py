"""B3: posts that are refused, and how they are told so."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import (
    INCOMING_TOKEN,
    pointers,
)
from tests.support.posting import INCOMING, bearer, numbers, post
from tests.support.served import Served


@pytest.fixture
def provider(service: Served) -> Iterator[httpx2.Client]:
    """A mail provider: no API key."""
    with service.client(None) as client:
        yield client


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"from_address": None}, "/from_address"),
        ({"from_address": 5}, "/from_address"),
        ({"from_address": ""}, "/from_address"),
        ({"from_address": "nobody"}, "/from_address"),
        ({"from_address": "a@b.com, c@d.com"}, "/from_address"),
        ({"from_address": "ceo@victim.com <x@evil.com>"}, "/from_address"),
        ({"from_address": "a@b.com\r\nBcc: c@d.com"}, "/from_address"),
        ({"from_address": "x" * 2000 + "@b.com"}, "/from_address"),
        ({"body": None}, "/body"),
        ({"body": {"text": "x"}}, "/body"),
        ({"subject": ["x"]}, "/subject"),
        ({"subject": "a\r\nBcc: evil@example.com"}, "/subject"),
        ({"subject": "a\x00b"}, "/subject"),
        ({"subject": "a\u2028b"}, "/subject"),
        ({"subject": "x" * 10_001}, "/subject"),
        ({"message_id": 7}, "/message_id"),
        ({"message_id": "<a@b>\r\nX-Evil: 1"}, "/message_id"),
        ({"message_id": "<" + "x" * 5000 + "@b>"}, "/message_id"),
        ({"in_reply_to": "<a@b>\nX: y"}, "/in_reply_to"),
        ({"references": ["<a@b>"]}, "/references"),
        ({"references": "<a@b>\x0bX"}, "/references"),
    ],
)
def test_b3_bad_fields_are_named_and_nothing_is_stored(
    provider: httpx2.Client, admin: httpx2.Client, change: dict[str, Any], where: str
) -> None:
    marker = f"bad-{next(numbers)}@example.org"
    body = post(from_address=marker) | change
    before = admin.get("/api/sites/default/messages", params={"limit": 1}).json()["items"]
    answer = provider.post(INCOMING, json=body, headers=bearer())
    assert answer.status_code == 422
    assert pointers(answer) == [where]
    assert admin.get("/api/sites/default/messages", params={"limit": 1}).json()["items"] == before


@pytest.mark.parametrize("name", ["from_address", "to_address", "body"])
def test_b3_missing_fields_are_named(provider: httpx2.Client, name: str) -> None:
    body = post()
    del body[name]
    answer = provider.post(INCOMING, json=body, headers=bearer())
    assert answer.status_code == 422
    assert pointers(answer) == [f"/{name}"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"body": 1, "body": 2}'])
def test_b3_what_is_no_json_object_is_refused(provider: httpx2.Client, body: bytes) -> None:
    as_json = bearer() | {"content-type": "application/json"}
    assert provider.post(INCOMING, content=body, headers=as_json).status_code == 422


def test_b3_other_media_types_are_told_apart(provider: httpx2.Client) -> None:
    form = provider.post(INCOMING, data=post(), headers=bearer())
    assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")
    mislabelled = bearer() | {"content-type": "text/plain"}
    answer = provider.post(INCOMING, content=json.dumps(post()), headers=mislabelled)
    assert answer.status_code == 202


def test_b3_what_was_posted_is_not_logged(provider: httpx2.Client, service: Served) -> None:
    body = post(
        from_address="Canary <canary-sender@example.org>", subject="canary-subject", body="canary-body"
    )
    assert provider.post(INCOMING, json=body, headers=bearer()).status_code == 202
    assert provider.post(INCOMING, json=body | {"subject": "canary\x00"}, headers=bearer()).status_code == 422
    assert "canary" not in service.log_text()
    assert INCOMING_TOKEN not in service.log_text()
