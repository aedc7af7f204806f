"""What SMTP replies mean: pure decisions by phase and code (RFC 5321 section 4.2, RFC 4954 section 6)."""

import re
from typing import Final

from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Login
from postroom.core.providers import provider_for
from postroom.core.submission import SmtpReply

SERVICE_CLOSING: Final = 421
START_MAIL_INPUT: Final = 354

_ENHANCED: Final = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_LONGEST_TEXT: Final = 500

_OAUTH_STATUS: Final = frozenset({"5.7.30", "5.7.139"})
_OAUTH_WORDS: Final = re.compile(
    r"basic\s+auth|oauth|modern\s+auth|SmtpClientAuthentication is disabled", re.IGNORECASE
)
_APP_PASSWORD_WORDS: Final = re.compile(
    r"app(?:lication)?[- ]?(?:specific)?[- ]?password|authori[sz]ation code", re.IGNORECASE
)
_WAIT_WORDS: Final = re.compile(
    r"too many|temporar|rate limit|throttl|try again later|locked out", re.IGNORECASE
)
_NOT_ABOUT_THE_LOGIN: Final = frozenset({500, 501, 502, 503, 504})


def one_line(text: str) -> str:
    """A server's words as one printable line of at most 500 characters."""
    return _UNPRINTABLE.sub(" ", text).strip()[:_LONGEST_TEXT]


def enhanced_status(reply: SmtpReply) -> str:
    """The enhanced status code (RFC 3463) of a reply, or empty."""
    match = _ENHANCED.search(reply.text)
    return match[0] if match else ""


def number(reply: SmtpReply) -> str:
    """A reply without its words, which may hold addresses: `535 5.7.8`."""
    return f"{reply.code} {enhanced_status(reply)}".rstrip()


def refused_greeting(reply: SmtpReply) -> MailServerError:
    """For a greeting or an EHLO that is not 2xx."""
    if 400 <= reply.code < 500:
        return asks_to_wait(reply)
    return MailServerError(ServerCode.PROTOCOL_ERROR, f"the server takes no mail here ({number(reply)})")


def asks_to_wait(reply: SmtpReply) -> MailServerError:
    """For a 4xx reply that concerns the session and not a recipient."""
    return MailServerError(ServerCode.THROTTLED, f"the server asks to try later ({number(reply)})")


def refused_login(reply: SmtpReply, login: Login) -> MailServerError:
    """For a reply to AUTH other than 235: 454 and its like say nothing of the password."""
    if reply.code < 500 or _WAIT_WORDS.search(reply.text):
        return asks_to_wait(reply)
    if reply.code in _NOT_ABOUT_THE_LOGIN and not enhanced_status(reply).startswith("5.7."):
        return MailServerError(
            ServerCode.PROTOCOL_ERROR, f"the server does not understand the login ({number(reply)})"
        )
    return _refused_credential(reply, login)


def _refused_credential(reply: SmtpReply, login: Login) -> MailServerError:
    provider = provider_for(login.server.host)
    wants_oauth = enhanced_status(reply) in _OAUTH_STATUS or bool(_OAUTH_WORDS.search(reply.text))
    if login.mechanism == "password" and (wants_oauth or provider.refuses_passwords):
        return MailServerError(
            ServerCode.NEEDS_OAUTH, f"the server does not take passwords from programs ({number(reply)})"
        )
    if reply.code == 534 or enhanced_status(reply) == "5.7.9" or _APP_PASSWORD_WORDS.search(reply.text):
        return MailServerError(
            ServerCode.APP_PASSWORD_REQUIRED, f"the server wants an app password ({number(reply)})"
        )
    return MailServerError(ServerCode.AUTH_FAILED, f"the server refused the login ({number(reply)})")


def about_the_login(reply: SmtpReply) -> bool:
    """Whether a refusal of MAIL is about the login and not the message (530, or Microsoft's late word)."""
    return reply.code == 530 or enhanced_status(reply) in _OAUTH_STATUS
