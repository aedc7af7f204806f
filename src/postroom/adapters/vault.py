"""Secrets at rest: an AES-256-GCM envelope with a data key a secret, and a ring of keys that seal data keys.

A sealed secret reads `v1.<key id>.<sealed data key>.<sealed value>`; the last two are base64url without
padding of a 12 byte nonce and the ciphertext with its tag. The data key is bound to version and key id, the
value to its context (site, type, identifier), so that an envelope moved to another place does not open.
"""

import base64
import binascii
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.core.errors import Move, PostroomError
from postroom.core.ports import Vault

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12

_CANARY_CONTEXT = ("postroom", "canary")
_CANARY_VALUE = "postroom"


class SecretError(PostroomError):
    """A secret cannot be opened, now or later; codes `wrong_key` and `damaged_secret`."""

    code = "damaged_secret"
    temporary = False
    move = Move.OWNER


def make_key() -> str:
    """A new key-encryption key: base64 of 32 random bytes."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class Key:
    """One key-encryption key. `id`: the first 8 hex digits of its SHA-256, which gives nothing away."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> "Key":
        """The key with these 32 bytes."""
        return cls(sha256(secret).hexdigest()[:8], secret)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Key-encryption keys, newest first: the first one seals, every one opens."""

    keys: tuple[Key, ...]

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read comma-separated base64 keys of 32 bytes, newest first.

        Raises `ValueError` that says which entry is wrong and why, and never shows any of it.
        """
        entries = [entry.strip() for entry in text.split(",")]
        return cls(tuple(_read_key(entry, place, len(entries)) for place, entry in enumerate(entries, 1)))

    @property
    def newest(self) -> Key:
        """The key that seals."""
        return self.keys[0]

    def named(self, key_id: str) -> tuple[Key, ...]:
        """The keys with this id: one, none, or two that share 32 bits of a hash."""
        return tuple(key for key in self.keys if key.id == key_id)


def _read_key(entry: str, place: int, count: int) -> Key:
    which = f"key {place} of {count}" if count > 1 else "the key"
    if not entry:
        raise ValueError(f"{which} is empty: give base64 of {KEY_BYTES} random bytes")
    try:
        secret = _decode(entry)
    except ValueError:
        # The cause would carry the text of the key into a traceback.
        raise ValueError(f"{which} is not base64") from None
    if len(secret) != KEY_BYTES:
        raise ValueError(f"{which} has {len(secret)} bytes where {KEY_BYTES} are needed")
    return Key.of(secret)


class EnvelopeVault:
    """`core.ports.Vault` over a key ring. Pure computation; safe to use from any task or thread."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def seal(self, value: str, context: Sequence[str]) -> str:
        """Encrypt under a fresh data key; every call gives another text."""
        data_key = secrets.token_bytes(KEY_BYTES)
        sealed_value = _encrypt(data_key, value.encode(), _bind(context))
        return _join(self._ring.newest, data_key, sealed_value)

    def open(self, sealed: str, context: Sequence[str]) -> str:
        """The value. Raises `SecretError`: `wrong_key` or `damaged_secret`."""
        envelope = _Envelope.parse(sealed)
        data_key = self._data_key(envelope)
        try:
            return _decrypt(data_key, envelope.value, _bind(context)).decode()
        except (InvalidTag, ValueError) as exc:
            raise SecretError("a stored secret was changed, or belongs to another place") from exc

    def rewrap(self, sealed: str) -> str | None:
        """The data key sealed anew by the newest key, the value untouched; None when it already is."""
        envelope = _Envelope.parse(sealed)
        if envelope.key_id == self._ring.newest.id:
            return None
        return _join(self._ring.newest, self._data_key(envelope), envelope.value)

    def _data_key(self, envelope: "_Envelope") -> bytes:
        keys = self._ring.named(envelope.key_id)
        if not keys:
            raise SecretError("a stored secret was encrypted with a key that is not in use", code="wrong_key")
        for key in keys:
            try:
                return _decrypt(key.secret, envelope.data_key, _wrapping(key.id))
            except InvalidTag:
                continue
        raise SecretError("a stored secret was changed")


def canary(vault: Vault) -> str:
    """An envelope to keep beside the data, by which the right keys are recognised at start."""
    return vault.seal(_CANARY_VALUE, _CANARY_CONTEXT)


def check_canary(vault: Vault, sealed: str) -> None:
    """Raise `SecretError` with code `wrong_key` unless `vault` has the key that `sealed` was made with."""
    try:
        value = vault.open(sealed, _CANARY_CONTEXT)
    except PostroomError as exc:
        raise _another_key() from exc
    if value != _CANARY_VALUE:
        raise _another_key()


def _another_key() -> SecretError:
    return SecretError(
        "this database was encrypted with another key",
        code="wrong_key",
        hint="Set POSTROOM_SECRET_KEY to the key that was used, with the new one, if any, in front of it.",
    )


@dataclass(frozen=True, slots=True)
class _Envelope:
    key_id: str
    data_key: bytes
    value: bytes

    @classmethod
    def parse(cls, sealed: str) -> "_Envelope":
        parts = sealed.split(".")
        if len(parts) != 4 or parts[0] != VERSION:
            raise SecretError("a stored secret is not in a form that is known")
        try:
            return cls(parts[1], _decode(parts[2]), _decode(parts[3]))
        except ValueError as exc:
            raise SecretError("a stored secret was cut or changed") from exc


def _join(key: Key, data_key: bytes, sealed_value: bytes) -> str:
    sealed_key = _encrypt(key.secret, data_key, _wrapping(key.id))
    return ".".join((VERSION, key.id, _encode(sealed_key), _encode(sealed_value)))


def _wrapping(key_id: str) -> bytes:
    return f"postroom data key {VERSION} {key_id}".encode()


def _bind(context: Sequence[str]) -> bytes:
    """Length before each part: ("a", "bc") and ("ab", "c") must differ."""
    parts = [part.encode() for part in context]
    return b"postroom secret " + b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _encrypt(key: bytes, data: bytes, bound_to: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound_to)


def _decrypt(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    if len(sealed) < NONCE_BYTES + 16:
        raise InvalidTag
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Base64 in either alphabet, padded or not. Raises `ValueError`."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("not base64") from exc
