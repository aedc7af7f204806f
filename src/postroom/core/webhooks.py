"""Signing and verifying calls by the Standard Webhooks specification (version 1.0, symmetric scheme "v1").

What is signed is `{webhook-id}.{webhook-timestamp}.{body}` with HMAC-SHA256. A secret is either `whsec_`
followed by base64 of the key, or any other text, whose UTF-8 bytes are the key.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

from postroom.core.errors import Unauthorized, invalid

PREFIX = "whsec_"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_VERSION = "v1"


def sign(secret: str, msg_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`. `timestamp`: seconds since 1970. Raises `InvalidInput` for a secret
    that is empty or whose base64 cannot be read."""
    return f"{_VERSION},{b64encode(_mac(_keys(secret)[0], msg_id, timestamp, body)).decode()}"


def signed_headers(secret: str, msg_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a signed call made now; equal `msg_id` lets the receiver drop repetitions."""
    timestamp = int(now.timestamp())
    return {ID: msg_id, TIMESTAMP: str(timestamp), SIGNATURE: sign(secret, msg_id, timestamp, body)}


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, now: datetime, tolerance: float = 300
) -> str:
    """Check a received call and give its `webhook-id`.

    `tolerance`: seconds that the call's time may differ from `now`, either way. One fitting signature of the
    several a header may hold is enough. A secret without prefix is also tried as base64, which is how common
    libraries read it. Raises `Unauthorized` when the call is not proven.
    """
    named = {name.lower(): value for name, value in headers.items()}
    msg_id, moment, signatures = (named.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not (msg_id and moment and signatures):
        raise Unauthorized("the webhook signature headers are missing", code="signature_missing")
    timestamp = _timestamp(moment, now, tolerance)
    expected = [_mac(key, msg_id, timestamp, body) for key in _keys(secret)]
    given = _given(signatures)
    # Every pair is compared, so that time tells nothing about which came close.
    if not sum(hmac.compare_digest(one, other) for one in expected for other in given):
        raise Unauthorized("no webhook signature fits", code="signature_wrong")
    return msg_id


def _timestamp(text: str, now: datetime, tolerance: float) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Unauthorized("the webhook timestamp is not a number of seconds", code="signature_wrong")
    if abs(int(text) - now.timestamp()) > tolerance:
        raise Unauthorized("the webhook timestamp is too far from the present", code="signature_expired")
    return int(text)


def _given(header: str) -> list[bytes]:
    parts = (part.partition(",") for part in header.split())
    return [mac for version, _, text in parts if version == _VERSION and (mac := _decoded(text))]


def _mac(key: bytes, msg_id: str, timestamp: int, body: bytes) -> bytes:
    return hmac.new(key, f"{msg_id}.{timestamp}.".encode() + body, sha256).digest()


def _keys(secret: str) -> list[bytes]:
    """The keys that a secret may stand for, the one to sign with first."""
    if secret.startswith(PREFIX):
        key = _decoded(secret.removeprefix(PREFIX))
        if not key:
            raise invalid("/secret", "must be base64 after whsec_")
        return [key]
    if not secret:
        raise invalid("/secret", "must not be empty")
    return [secret.encode(), *filter(None, [_decoded(secret)])]


def _decoded(text: str) -> bytes:
    """The bytes of base64 with or without padding; empty when it is none."""
    bare = text.rstrip("=")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (Base64Error, ValueError):
        return b""
