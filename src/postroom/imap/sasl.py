"""Ways to log in, chosen and encoded purely: PLAIN (RFC 4616), OAUTHBEARER (RFC 7628), XOAUTH2, LOGIN."""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TypeAlias

from postroom.imap.errors import ImapAuthenticationFailed, ImapInvalidArgument, Remedy


@dataclass(frozen=True, slots=True)
class Password:
    """A user name and its password, or app password."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A user name and an OAuth 2.0 access token (RFC 6750)."""

    username: str = field(repr=False)
    token: str = field(repr=False)


Credential: TypeAlias = Password | AccessToken


@dataclass(frozen=True, slots=True)
class Login:
    """The LOGIN command."""

    username: bytes = field(repr=False)
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The AUTHENTICATE command: the mechanism's name, its first response, and what answers the challenge that
    explains a refusal, so that the server goes on to its NO (RFC 7628 section 3.2.3).
    """

    mechanism: str
    initial: bytes = field(repr=False)
    acknowledgement: bytes = b""

    @property
    def initial_encoded(self) -> bytes:
        """The first response as it is sent; `=` stands for an empty one (RFC 4959)."""
        return b64encode(self.initial) or b"="

    def answers(self) -> tuple[bytes, bytes]:
        """The lines that answer the server's challenges in turn: the first response, the acknowledgement."""
        return b64encode(self.initial), b64encode(self.acknowledgement)


def choose(credential: Credential, capabilities: frozenset[str]) -> Login | Authenticate:
    """The best way to log in that the server has, for a channel that is already TLS.

    Raises ImapAuthenticationFailed when the server takes no such credential at all, and ImapInvalidArgument
    when the credential cannot be written.
    """
    if isinstance(credential, AccessToken):
        return _with_token(credential, capabilities)
    return _with_password(credential, capabilities)


def _with_password(credential: Password, capabilities: frozenset[str]) -> Login | Authenticate:
    username, password = _bytes(credential.username), _bytes(credential.password)
    if "AUTH=PLAIN" in capabilities:
        return Authenticate("PLAIN", b"\0" + username + b"\0" + password)
    if "LOGINDISABLED" in capabilities:
        oauth = {"AUTH=XOAUTH2", "AUTH=OAUTHBEARER"} & capabilities
        raise ImapAuthenticationFailed(Remedy.OAUTH if oauth else Remedy.NONE)
    return Login(username, password)


def _with_token(credential: AccessToken, capabilities: frozenset[str]) -> Authenticate:
    username, token = _bytes(credential.username), _bytes(credential.token)
    if "AUTH=OAUTHBEARER" in capabilities:
        authzid = username.replace(b"=", b"=3D").replace(b",", b"=2C")
        initial = b"n,a=" + authzid + b",\x01auth=Bearer " + token + b"\x01\x01"
        return Authenticate("OAUTHBEARER", initial, b"\x01")
    if "AUTH=XOAUTH2" in capabilities:
        initial = b"user=" + username + b"\x01auth=Bearer " + token + b"\x01\x01"
        return Authenticate("XOAUTH2", initial)
    raise ImapAuthenticationFailed


def _bytes(text: str) -> bytes:
    if any(character in text for character in "\0\r\n\x01"):
        raise ImapInvalidArgument("control characters in a credential")
    return text.encode("utf-8")
