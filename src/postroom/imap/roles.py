"""Which mailbox serves which purpose: by its attribute (RFC 6154), else by its name."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from postroom.imap import mailbox_purposes
from postroom.imap.mailboxes import Mailbox


class Role(StrEnum):
    """The purpose of a mailbox. `all` holds what every other one holds (Gmail's All Mail)."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    JUNK = "junk"
    TRASH = "trash"
    ARCHIVE = "archive"
    ALL = "all"


_ATTRIBUTES: Final[Mapping[str, Role]] = {
    "\\sent": Role.SENT,
    "\\drafts": Role.DRAFTS,
    "\\junk": Role.JUNK,
    "\\spam": Role.JUNK,
    "\\trash": Role.TRASH,
    "\\archive": Role.ARCHIVE,
    "\\all": Role.ALL,
    "\\allmail": Role.ALL,
}

_NAMES: Final[Mapping[Role, str]] = {
    Role.SENT: mailbox_purposes.SENT,
    Role.DRAFTS: mailbox_purposes.DRAFTS,
    Role.JUNK: mailbox_purposes.JUNK,
    Role.TRASH: mailbox_purposes.TRASH,
    Role.ARCHIVE: mailbox_purposes.ARCHIVE,
}


def _spelling(name: str) -> str:
    return " ".join(name.casefold().split())


_ROLE_OF_NAME: Final[Mapping[str, Role]] = {
    _spelling(name): role
    for role, names in _NAMES.items()
    for line in names.splitlines()
    for name in line.split("|")
    if name.strip()
}


def find_roles(mailboxes: Iterable[Mailbox]) -> Mapping[Role, str]:
    """The mailbox name for each role that one is found for.

    An attribute counts more than a name, and a name near the top of the tree more than one below.
    """
    found: dict[Role, str] = {Role.INBOX: "INBOX"}
    usable = sorted((each for each in mailboxes if each.selectable), key=_depth)
    for mailbox in usable:
        for attribute in mailbox.attributes & _ATTRIBUTES.keys():
            found.setdefault(_ATTRIBUTES[attribute], mailbox.name)
    for mailbox in usable:
        role = _ROLE_OF_NAME.get(_spelling(_last_part(mailbox)))
        if role is not None and mailbox.name not in found.values():
            found.setdefault(role, mailbox.name)
    return found


def _depth(mailbox: Mailbox) -> int:
    return mailbox.name.count(mailbox.delimiter) if mailbox.delimiter else 0


def _last_part(mailbox: Mailbox) -> str:
    return mailbox.name.rpartition(mailbox.delimiter)[2] if mailbox.delimiter else mailbox.name
