"""What a server means when it refuses: response codes first (RFC 5530), then the words of those without."""

import re
from typing import Final, TypeAlias

from postroom.imap.errors import (
    ImapAuthenticationFailed,
    ImapBad,
    ImapBye,
    ImapError,
    ImapNo,
    ImapThrottled,
    Remedy,
)
from postroom.imap.responses import Condition, ResponseCode, Tagged

Refusal: TypeAlias = Tagged | Condition

_WAIT_CODES: Final = frozenset({"UNAVAILABLE", "LIMIT", "THROTTLED", "INUSE", "SERVERBUG"})
_EXPIRED_CODES: Final = frozenset({"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED"})
_CREDENTIAL_CODES: Final = _EXPIRED_CODES | {"WEBALERT", "CONTACTADMIN"}
_WAIT_WORDS: Final = re.compile(
    r"throttl|back-?off|too many (?:simultaneous |concurrent )?(?:connections|sessions|logins|commands)"
    r"|max(?:imum)? (?:number|amount) of (?:simultaneous |concurrent )?(?:connections|sessions)"
    r"|connection limit|rate limit|simultaneous connections|bandwidth limit|command limit"
    r"|authenticated but not connected|temporar(?:y|ily)|(?:server|service) (?:is )?(?:unavailable|busy)"
    r"|internal (?:server )?error|system error|overload",
    re.IGNORECASE,
)
_VAGUE_WAIT_WORDS: Final = re.compile(r"try (?:again|later)|later", re.IGNORECASE)
_CREDENTIAL_WORDS: Final = re.compile(
    r"invalid (?:login|credential|user|password)"
    r"|(?:authentication|authenticate|login) (?:failed|failure|error)"
    r"|bad (?:password|credential|user)|(?:wrong|incorrect) (?:user|password|login)",
    re.IGNORECASE,
)
_APP_PASSWORD_WORDS: Final = re.compile(
    r"app(?:lication)?[- ]?(?:specific)?[- ]?password|authori[sz]ation code", re.IGNORECASE
)
_OAUTH_WORDS: Final = re.compile(
    r"basic\s*auth\w*|oauth|web login required|web browser|modern auth|legacy auth", re.IGNORECASE
)
_DISABLED_WORDS: Final = re.compile(
    r"not enabled for imap|imap (?:access )?(?:is )?(?:disabled|turned off|not enabled|not allowed)",
    re.IGNORECASE,
)
_WAIT_TIME: Final = re.compile(
    r"(?:back-?off time|retry (?:after|in)|try again in|wait)\D{0,20}?(\d{1,10})"
    r"\s*(milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m)?\b",
    re.IGNORECASE,
)
_READ_TEXT: Final = 1_000
"""Characters of a server's text that are looked at and kept."""

_LONGEST_WAIT: Final = 86_400.0


def refused(refusal: Refusal) -> ImapError:
    """The error for a NO or BAD that ends a command, or for a BYE."""
    text, code = refusal.text[:_READ_TEXT], refusal.code
    if asks_to_wait(refusal):
        return ImapThrottled(wait_seconds(text), server_text=text, code=code)
    if _is(code, _EXPIRED_CODES):
        return refused_login(refusal)
    kinds: dict[str, type[ImapError]] = {"NO": ImapNo, "BAD": ImapBad, "BYE": ImapBye}
    return kinds[refusal.status](server_text=text, code=code)


def refused_login(refusal: Refusal) -> ImapError:
    """The error for a refused login: a NO that names no passing trouble is about the credential."""
    text, code = refusal.text[:_READ_TEXT], refusal.code
    if _is(code, _CREDENTIAL_CODES):
        return ImapAuthenticationFailed(remedy(text), server_text=text, code=code)
    if asks_to_wait(refusal):
        return ImapThrottled(wait_seconds(text), server_text=text, code=code)
    if refusal.status == "NO" or _CREDENTIAL_WORDS.search(text):
        return ImapAuthenticationFailed(remedy(text), server_text=text, code=code)
    return refused(refusal)


def asks_to_wait(refusal: Refusal) -> bool:
    """Whether the same request may succeed later with nothing changed.

    "Wrong password, please try again" is no such thing.
    """
    code, text = refusal.code, refusal.text[:_READ_TEXT]
    if _is(code, _CREDENTIAL_CODES):
        return False
    if _is(code, _WAIT_CODES) or _WAIT_WORDS.search(text) or wait_seconds(text) is not None:
        return True
    return bool(_VAGUE_WAIT_WORDS.search(text)) and not _CREDENTIAL_WORDS.search(text)


def remedy(text: str) -> Remedy:
    """What the owner can do about a refused login, as far as the server's words tell."""
    if _APP_PASSWORD_WORDS.search(text):
        return Remedy.APP_PASSWORD
    if _OAUTH_WORDS.search(text):
        return Remedy.OAUTH
    if _DISABLED_WORDS.search(text):
        return Remedy.ENABLE_IMAP
    return Remedy.NONE


def wait_seconds(text: str) -> float | None:
    """The time that a server names ("Suggested Backoff Time: 299961 milliseconds"), at most a day."""
    match = _WAIT_TIME.search(text)
    if match is None:
        return None
    unit = (match[2] or "s").lower()
    scale = 0.001 if unit.startswith(("ms", "milli")) else 60.0 if unit.startswith("m") else 1.0
    return min(int(match[1]) * scale, _LONGEST_WAIT)


def _is(code: ResponseCode | None, names: frozenset[str]) -> bool:
    return code is not None and code.name in names
