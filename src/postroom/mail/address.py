"""Addresses: read tolerantly for display, strictly where they decide something (RFC 5322, 5321, 6531)."""

import re
import unicodedata
from collections.abc import Sequence

import idna

from postroom.mail import address_list, charset
from postroom.mail.message import Address

_LONGEST_LOCAL = 64
_LONGEST_DOMAIN = 255
_LONGEST_ADDRESS = 254
_LONGEST_NAME = 300
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_DOT_ATOM = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\]|\\.)+"')
_ENCODED_WORDS = re.compile(r"(?:=\?[^?\s]{1,75}\?[bBqQ]\?[^?]*+\?=\s*+)++")
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")


class AddressError(ValueError):
    """An address that cannot be used. The text names the field and the fault, never the address."""


def parse_addresses(value: str, most: int | None = None) -> tuple[Address, ...]:
    """The mailboxes of a header value (the first `most`), for display; never raises, linear.

    A group gives its members. Words without an address give a name and an empty `address`.
    """
    return tuple(Address(entry.name, entry.address) for entry in address_list.split(value, most))


def parse_recipients(value: str, most: int | None = None) -> tuple[Address, ...]:
    """As `parse_addresses`, of a field that decides nothing: also one that is encoded as a whole.

    RFC 2047 section 5 forbids that, but some programs do it; only what is one clear mailbox is taken.
    """
    if "=?" not in value:
        return parse_addresses(value, most)
    return tuple(_decoded(entry) for entry in address_list.split(value, most))


def _decoded(entry: address_list.Entry) -> Address:
    encoded = entry.address or entry.bare_name
    if _ENCODED_WORDS.fullmatch(encoded):
        text = charset.decode_header(encoded)
        inner = address_list.split(text, 2)
        if len(inner) == 1 and not (inner[0].odd or _has_control(text) or _fault_of(inner[0].address)):
            return Address((entry.address and entry.name) or inner[0].name, inner[0].address)
    return Address(entry.name, entry.address)


def parse_author(from_values: Sequence[str]) -> Address | None:
    """Who wrote it, when no parser could say otherwise; else None (RFC 5322 section 3.6.2, stricter).

    There must be one From field with one well-formed mailbox: nothing encoded inside the address, no
    second address in an unquoted name, no route or group, no comment inside, no broken quote.
    """
    if len(from_values) != 1:
        return None
    entries = address_list.split(from_values[0], 2)
    if len(entries) != 1 or _has_control(from_values[0].replace("\t", " ")):
        return None
    entry = entries[0]
    if entry.odd or _fault_of(entry.address) or _names_another(entry):
        return None
    return Address(entry.name, entry.address)


def check_address(text: str, field: str) -> Address:
    """The one mailbox `Name <a@b>` or `a@b` that a caller wants to send to or from.

    `field` is the caller's name for it, used in the error. Internationalised addresses and domains
    are allowed (RFC 6531, RFC 5890). Raises `AddressError`; nothing is cut or repaired.
    """
    if not text.strip():
        raise AddressError(f"{field} is empty")
    if _has_control(text):
        raise AddressError(f"{field} contains a line break or another control character")
    entries = address_list.split(text)
    if len(entries) != 1:
        raise AddressError(f"{field} must be one address, such as name@example.com")
    entry = entries[0]
    fault = _fault_of(entry.address)
    if fault:
        raise AddressError(f"{field} {fault}")
    if entry.odd or _names_another(entry) or text.rstrip(" >").endswith((",", ";", ".")):
        raise AddressError(f"{field} is ambiguous: write it as Name <name@example.com>")
    if len(entry.name) > _LONGEST_NAME:
        raise AddressError(f"{field} has a name of more than {_LONGEST_NAME} characters")
    return Address(entry.name, entry.address)


def normalise(address: str) -> str:
    """The key under which two spellings of one address compare equal; not for sending.

    NFC, trimmed, lower case, the domain in its ASCII form (RFC 5891) where it has one.
    """
    local, at, domain = unicodedata.normalize("NFC", address).strip().lower().rpartition("@")
    return f"{local}@{_ascii_domain(domain)}" if at else domain


def domain_of(address: str) -> str:
    """The domain as in `normalise`; empty when there is none."""
    return normalise(address).rpartition("@")[2] if "@" in address else ""


def _ascii_domain(domain: str) -> str:
    domain = domain.strip().rstrip(".")
    if domain.isascii() or len(domain) > _LONGEST_DOMAIN:
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return domain


def _names_another(entry: address_list.Entry) -> bool:
    """Whether the unquoted name looks like an address, and not like this one."""
    name = entry.bare_name.strip("' ")
    return "@" in name and normalise(name) != normalise(entry.address)


def _has_control(text: str) -> bool:
    """Control, line-break, invisible formatting or surrogate characters; joiners of scripts are none."""
    if text.isascii() and text.isprintable():
        return False
    return any(unicodedata.category(char) in _FORBIDDEN and char not in _JOINERS for char in text)


def _fault_of(address: str) -> str:
    """What is wrong with an addr-spec (RFC 5321 section 4.1.2, 4.5.3.1); empty when nothing is."""
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        return "must be one address, such as name@example.com"
    if len(local.encode("utf-8", "replace")) > _LONGEST_LOCAL:
        return f"has more than {_LONGEST_LOCAL} bytes before the @"
    if len(domain) > _LONGEST_DOMAIN or len(address.encode("utf-8", "replace")) > _LONGEST_ADDRESS:
        return f"is longer than {_LONGEST_ADDRESS} bytes"
    if "=?" in address or not (_DOT_ATOM.fullmatch(local) or _QUOTED_LOCAL.fullmatch(local)):
        return "has characters before the @ that are not allowed there"
    if not _is_domain(domain):
        return "has no valid domain after the @"
    return ""


def _is_domain(domain: str) -> bool:
    if domain.isascii():
        return all(_LABEL.fullmatch(label) for label in domain.split("."))
    try:
        return bool(idna.encode(domain, uts46=True))
    except (idna.IDNAError, UnicodeError):
        return False
