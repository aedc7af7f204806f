"""Standard Webhooks: what we sign the reference library accepts, and the other way round."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from postroom.core.errors import InvalidInput, Unauthorized
from postroom.core.webhooks import sign, signed_headers, verify

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + b64encode(KEY).decode()
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BODY = '{"subject": "Grüße"}'.encode()


def test_the_reference_library_accepts_our_signature() -> None:
    headers = signed_headers(SECRET, "turn_1", datetime.now(UTC), BODY)
    assert Webhook(SECRET).verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", headers, json_parse=False)


def test_a_secret_without_prefix_signs_with_its_own_bytes() -> None:
    headers = signed_headers("open sesame", "turn_1", datetime.now(UTC), BODY)
    assert Webhook(b"open sesame").verify(BODY, headers) == json.loads(BODY)


@given(st.text(min_size=1).filter(lambda t: t.isprintable()), st.text(), st.binary(min_size=1))
def test_we_accept_what_the_reference_library_signs(msg_id: str, body: str, key: bytes) -> None:
    data = body.encode("utf-8", "replace").decode()
    headers = {
        "Webhook-Id": msg_id,
        "Webhook-Timestamp": str(int(NOW.timestamp())),
        "Webhook-Signature": Webhook(key).sign(msg_id, NOW, data),
    }
    assert verify("whsec_" + b64encode(key).decode(), headers, data.encode(), NOW) == msg_id


def test_a_plain_token_is_also_read_as_base64_like_the_library_does() -> None:
    plain = b64encode(KEY).decode()
    headers = signed_headers(SECRET, "m1", NOW, BODY)
    assert verify(plain, headers, BODY, NOW) == "m1"
    assert verify(plain, signed_headers(plain, "m2", NOW, BODY), BODY, NOW) == "m2"


def test_padding_of_the_secret_may_be_missing() -> None:
    secret = "whsec_" + b64encode(b"0123456789abcdef").decode().rstrip("=")
    headers = signed_headers(secret, "m1", NOW, BODY)
    assert verify("whsec_" + b64encode(b"0123456789abcdef").decode(), headers, BODY, NOW) == "m1"


def test_one_fitting_signature_of_several_is_enough() -> None:
    headers = signed_headers(SECRET, "m1", NOW, BODY)
    others = sign("another", "m1", int(NOW.timestamp()), BODY)
    headers["webhook-signature"] = f"v1a,AAAA {others} nonsense v1, {headers['webhook-signature']}"
    assert verify(SECRET, headers, BODY, NOW) == "m1"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_proves_nothing(name: str) -> None:
    headers = signed_headers(SECRET, "m1", NOW, BODY)
    del headers[name]
    with pytest.raises(Unauthorized) as refused:
        verify(SECRET, headers, BODY, NOW)
    assert refused.value.code == "signature_missing"


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "m2"},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {"webhook-timestamp": f"{NOW.timestamp():.1f}"},
        {"webhook-timestamp": "٣"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": " "},
        {"webhook-signature": "v1a," + sign(SECRET, "m1", int(NOW.timestamp()), BODY).removeprefix("v1,")},
    ],
)
def test_a_changed_header_proves_nothing(changed: dict[str, str]) -> None:
    headers = signed_headers(SECRET, "m1", NOW, BODY)
    with pytest.raises(Unauthorized):
        verify(SECRET, headers | changed, BODY, NOW)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_changed_byte_of_the_body_is_noticed(place: int, difference: int) -> None:
    changed = bytearray(BODY)
    changed[place] ^= difference
    with pytest.raises(Unauthorized):
        verify(SECRET, signed_headers(SECRET, "m1", NOW, BODY), bytes(changed), NOW)


@pytest.mark.parametrize(("seconds", "accepted"), [(299, True), (-299, True), (301, False), (-301, False)])
def test_a_call_is_good_for_five_minutes_either_way(seconds: int, accepted: bool) -> None:
    headers = signed_headers(SECRET, "m1", NOW - timedelta(seconds=seconds), BODY)
    if accepted:
        assert verify(SECRET, headers, BODY, NOW) == "m1"
        return
    with pytest.raises(Unauthorized) as refused:
        verify(SECRET, headers, BODY, NOW)
    assert refused.value.code == "signature_expired"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%"])
def test_a_secret_that_is_no_key_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        sign(secret, "m1", 0, b"")
    assert "%%%" not in refused.value.text
