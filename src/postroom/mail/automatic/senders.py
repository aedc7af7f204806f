"""Addresses that belong to programs: mail systems, list programs, system users, no-reply addresses."""

import re
from collections.abc import Iterable

_NOT_LETTERS = re.compile(r"[^a-z]+")
_BETWEEN_WORDS = re.compile(r"[\W\d_]+")
_MAIL_SYSTEMS = re.compile(
    r"mailerdaemon|maildaemon|mail(?:er)?admin|mmdf|mdaemon|mailadministrator|"
    r"mail(?:delivery)?(?:sub)?system|maildelivery(?:service)?|delivery(?:status|notification)|"
    r"undeliver(?:ed|able)|bounces?|bouncehandler"
)
_ENVELOPE_SYSTEMS = ("mailerdaemon", "maildaemon")
_EXCHANGE = re.compile(r"microsoftexchange[0-9a-f]{32}@")
_DAEMON_NAME = re.compile(r"mail(?:er)?[-_ ]?daemon", re.IGNORECASE)
_NO_REPLY = re.compile(  # for words joined by "-"; only what is no part of any name counts within a word
    r"noreply|notreply|nepasrepondre|nichtantworten|(?<![^-])(?:"
    r"no-?reply|not-?reply|don-?t-?reply|no-?response|do-?not-?respond|unmonitored|"
    r"ne-?pas-?r[eé]pondre|nicht-?antworten|keine-?antwort|n[aã]?o-?respond(?:er|a)|"
    r"non-?rispondere|niet-?(?:be)?antwoorden|svara?-?inte|svara-?ej|ikke-?svare?|svar-?ikke|"
    r"ala-?vastaa|ei-?vastausta|neodpovidat|neodpovidejte|nie-?odpowiadaj|nem-?valaszol|"
    r"ne-?otvechat|ne-?otvechaite|yanitlamayin)"
)
_LIST_LOCAL = re.compile(r"owner-.+|.+-(?:owner|request|bounces?)(?:\+.*)?|listserv|majordomo|mailman|ezmlm")
_SYSTEM_LOCAL = re.compile(r"root|crond?|daemon|nobody|www-data|uucp|apache|nagios")


def mail_system_code(sender: str, return_path: str, raw_from: str) -> str | None:
    """ "postmaster" or "mailer_daemon" when a mail system wrote the message, else None.

    `raw_from` is the From field as it came: old systems put a bare MAILER-DAEMON there.
    """
    local = _letters(sender)
    if local == "postmaster":
        return "postmaster"
    if _MAIL_SYSTEMS.fullmatch(local) or _letters(return_path) in _ENVELOPE_SYSTEMS:
        return "mailer_daemon"
    if _EXCHANGE.match(sender.lower()):
        return "mailer_daemon"
    if "@" not in sender and _DAEMON_NAME.search(raw_from):
        return "mailer_daemon"
    return None


def refuses_replies(names: Iterable[str]) -> bool:
    """Whether one of these addresses or display names says not to reply, in any common language."""
    return any(_NO_REPLY.search(_words(name)) for name in names)


def is_list_address(*addresses: str) -> bool:
    """Whether an address is one of a list program: `owner-x`, `x-request` (RFC 2142 section 6)."""
    return any(_LIST_LOCAL.fullmatch(_local(address)) for address in addresses)


def is_system_user(address: str) -> bool:
    """Whether the address is one that a system's own jobs write from."""
    return _SYSTEM_LOCAL.fullmatch(_local(address)) is not None


def _local(address: str) -> str:
    return address.lower().partition("@")[0]


def _letters(address: str) -> str:
    """The letters of the local part, so that `Mail_Delivery-System` is known however it is spelt."""
    return _NOT_LETTERS.sub("", _local(address))


def _words(name: str) -> str:
    """The words of a local part or a display name, joined by "-" however they were parted."""
    return _BETWEEN_WORDS.sub("-", _local(name))
