"""The environment's own mailbox (B1): EMAIL_* variables become the settings of the site `default`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from postroom.core.errors import InvalidInput
from postroom.core.settings import EmailChannel, parse_settings
from postroom.environment import Reading
from postroom.mail.address import AddressError, check_address
from postroom.mail.message import Address

REQUIRED = ("EMAIL_SMTP_HOST", "EMAIL_USER", "EMAIL_PASSWORD")
SECURITY = ("tls", "starttls")
HOSTS = {"EMAIL_SMTP_HOST": "outgoingServer", "EMAIL_IMAP_HOST": "incomingServer"}
PORTS = {"EMAIL_SMTP_PORT": "outgoingPort", "EMAIL_IMAP_PORT": "incomingPort"}
SECURITIES = {"EMAIL_SMTP_SECURITY": "outgoingSecurity", "EMAIL_IMAP_SECURITY": "incomingSecurity"}
VARIABLE_OF = {
    **{field_name: name for name, field_name in (HOSTS | PORTS | SECURITIES).items()},
    "username": "EMAIL_USER",
    "email": "EMAIL_FROM_ADDRESS",
    "displayName": "EMAIL_FROM_ADDRESS",
    "aliases": "EMAIL_ALIASES",
}

STAND_IN = Address("", "agent@example.com")
"""Takes the place of an address that is missing or wrong, so that other faults are told too."""


@dataclass(frozen=True, slots=True)
class EmailEnvironment:
    """The mailbox: its settings document, the account in it, and its password."""

    document: Mapping[str, Any]
    channel: EmailChannel
    password: str = field(repr=False)


def read_email(reading: Reading) -> EmailEnvironment | None:
    """The mailbox that the variables describe; None, and faults noted, when they do not."""
    for name in REQUIRED:
        if not reading.has(name) and not reading.faulty(f"{name}_FILE"):
            reading.fault(name, "is missing, and required when ENABLED_CLIENTS has email")
    address = _address(reading)
    document: dict[str, Any] = {"channels": {"email": _channel(reading, address or STAND_IN)}}
    if start := reading.text("EMAIL_START"):
        document["start"] = start
    channel = _checked(reading, document)
    if address is None and reading.has("EMAIL_USER") and not _told_of_address(reading):
        reading.fault("EMAIL_FROM_ADDRESS", "is missing, and required when EMAIL_USER is no address")
    if address is None or channel is None:
        return None
    return EmailEnvironment(document, channel, reading.text("EMAIL_PASSWORD") or "")


def _address(reading: Reading) -> Address | None:
    """The mailbox's own address: as set, else the user name if it is one."""
    given = reading.text("EMAIL_FROM_ADDRESS")
    if given:
        try:
            return check_address(given, "the address")
        except AddressError as exc:
            reading.fault("EMAIL_FROM_ADDRESS", str(exc))
            return None
    user = reading.text("EMAIL_USER")
    return Address("", user) if user and _is_address(user) else None


def _told_of_address(reading: Reading) -> bool:
    return reading.faulty("EMAIL_FROM_ADDRESS") or reading.faulty("EMAIL_USER")


def _is_address(text: str) -> bool:
    try:
        return check_address(text, "").address == text
    except AddressError:
        return False


def _channel(reading: Reading, address: Address) -> dict[str, Any]:
    channel: dict[str, Any] = {"email": address.address, "aliases": reading.items("EMAIL_ALIASES")}
    if address.name:
        channel["displayName"] = address.name
    for name, field_name in {**HOSTS, "EMAIL_USER": "username"}.items():
        if reading.has(name):
            channel[field_name] = reading.text(name)
    for name, field_name in PORTS.items():
        if reading.has(name):
            channel[field_name] = reading.number(name, 1, 65535, 1)
    for name, field_name in SECURITIES.items():
        if reading.has(name):
            channel[field_name] = reading.choice(name, SECURITY, "tls")
    return channel


def _checked(reading: Reading, document: Mapping[str, Any]) -> EmailChannel | None:
    try:
        return parse_settings(document).channels.email
    except InvalidInput as exc:
        for problem in exc.problems:
            reading.fault(_variable_of(problem.pointer), problem.text)
        return None


def _variable_of(pointer: str) -> str:
    """The variable that a place in the settings document was made from."""
    names = pointer.split("/")[1:]
    if names[:1] == ["start"]:
        return "EMAIL_START"
    return VARIABLE_OF.get(names[2] if len(names) > 2 else "", "EMAIL_ALIASES")
