"""Mailbox names as people write them and as the wire carries them (RFC 3501 section 5.1.3, RFC 6855)."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final

from postroom.imap.errors import ImapInvalidArgument

_SHIFTED: Final = re.compile(r"&([^-]*)-")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+|&")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]")


def has_control_characters(name: str) -> bool:
    """Whether `name` holds what no mailbox name should: control characters or line separators."""
    return _CONTROL.search(name) is not None


def encode_name(name: str, *, utf8: bool = False) -> bytes:
    """`name` for the wire: modified UTF-7, or UTF-8 once UTF8=ACCEPT is enabled.

    INBOX in any case is INBOX (RFC 9051 section 5.1). Raises ImapInvalidArgument for an empty name, control
    characters and lone surrogates.
    """
    if not name or has_control_characters(name):
        raise ImapInvalidArgument("a mailbox name is empty or holds control characters")
    if name.upper() == "INBOX":
        return b"INBOX"
    try:
        return name.encode("utf-8") if utf8 else _UNPRINTABLE.sub(_shift, name).encode("ascii")
    except UnicodeEncodeError as exc:
        raise ImapInvalidArgument("a mailbox name is not Unicode text") from exc


def decode_name(raw: bytes, *, utf8: bool = False) -> str:
    """The name that `raw` means. What is no valid modified UTF-7 is taken as it stands; nothing raises."""
    if raw.upper() == b"INBOX":
        return "INBOX"
    text = _as_text(raw)
    if utf8 or not raw.isascii() or "&" not in text:
        return text
    try:
        return _SHIFTED.sub(_unshift, text)
    except (Base64Error, UnicodeDecodeError):
        return text


def _as_text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _shift(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    packed = b64encode(match[0].encode("utf-16-be"), altchars=b"+,").rstrip(b"=")
    return f"&{packed.decode('ascii')}-"


def _unshift(match: re.Match[str]) -> str:
    packed = match[1]
    if not packed:
        return "&"
    padded = packed + "=" * (-len(packed) % 4)
    return b64decode(padded, altchars=b"+,", validate=True).decode("utf-16-be")
