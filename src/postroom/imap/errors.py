"""What can go wrong with an IMAP server, each with what the caller can do about it.

`str()` of every error is a fixed sentence of ours. What the server said is in `server_text`, apart, because
it may hold addresses and subjects. Neither ever holds a credential.
"""

from enum import StrEnum

from postroom.imap.responses import ResponseCode


class ImapError(Exception):
    """The root of all errors of this package. `code` is the response code (RFC 5530) when there was one."""

    sentence = "the IMAP server could not be used"

    def __init__(self, detail: str = "", *, server_text: str = "", code: ResponseCode | None = None) -> None:
        super().__init__(detail or self.sentence)
        self.server_text = server_text
        self.code = code


class ImapConnectError(ImapError):
    """No TCP connection came about: refused, unreachable, reset."""

    sentence = "no connection to the IMAP server"


class ImapTimeout(ImapError):
    """A deadline passed. The connection has been closed."""

    sentence = "the IMAP server did not answer in time"


class ImapClosed(ImapError):
    """The connection ended without a BYE, or was closed on this side."""

    sentence = "the connection to the IMAP server was lost"


class ImapBye(ImapClosed):
    """The server said BYE (RFC 9051 section 7.1.5) and gave no reason of another class."""

    sentence = "the IMAP server ended the session"


class ImapProtocolError(ImapError):
    """The server said what the grammar or a limit does not allow. The connection has been closed."""

    sentence = "the IMAP server broke the protocol"


class ImapLiteralTooLarge(ImapProtocolError):
    """A literal of `size` bytes was announced where at most `cap` were expected; none of it was read."""

    sentence = "the IMAP server announced more bytes than asked for"

    def __init__(self, size: int, cap: int) -> None:
        super().__init__()
        self.size = size
        self.cap = cap


class TlsFault(StrEnum):
    """Why TLS did not come about."""

    CERTIFICATE = "certificate"
    HANDSHAKE = "handshake"
    STARTTLS_MISSING = "starttls_missing"
    STARTTLS_REFUSED = "starttls_refused"
    PREAUTH = "preauth"
    INJECTED = "injected"


_TLS_SENTENCES = {
    TlsFault.CERTIFICATE: "the IMAP server's certificate is not valid for its name",
    TlsFault.HANDSHAKE: "the TLS handshake with the IMAP server failed",
    TlsFault.STARTTLS_MISSING: "the IMAP server does not offer STARTTLS",
    TlsFault.STARTTLS_REFUSED: "the IMAP server refused STARTTLS",
    TlsFault.PREAUTH: "the IMAP server skips authentication before TLS",
    TlsFault.INJECTED: "there were bytes between STARTTLS and the TLS handshake",
}


class ImapTlsError(ImapError):
    """There is no safe channel; no credential has been sent. `reason` is the verifier's word, or empty."""

    def __init__(self, fault: TlsFault, reason: str = "") -> None:
        super().__init__(_TLS_SENTENCES[fault])
        self.fault = fault
        self.reason = reason


class ImapNo(ImapError):
    """The server answered NO: it understood and did not."""

    sentence = "the IMAP server refused a command"


class ImapBad(ImapError):
    """The server answered BAD: it did not understand, or not now."""

    sentence = "the IMAP server did not accept a command"


class ImapNoBody(ImapError):
    """FETCH was answered OK without the bytes asked for, for these UIDs. Ask again; it is no empty mail."""

    sentence = "the IMAP server sent no body"

    def __init__(self, uids: tuple[int, ...]) -> None:
        super().__init__()
        self.uids = uids


class Remedy(StrEnum):
    """What the account's owner can do about a refused login, as far as the server's words tell."""

    NONE = ""
    APP_PASSWORD = "app_password"  # noqa: S105 - a word of ours, no password
    OAUTH = "oauth"
    ENABLE_IMAP = "enable_imap"


class ImapAuthenticationFailed(ImapError):
    """The credential was refused, or no mechanism of the server's takes it. Trying again does not help."""

    sentence = "the IMAP server refused the login"

    def __init__(
        self,
        remedy: Remedy = Remedy.NONE,
        *,
        server_text: str = "",
        code: ResponseCode | None = None,
    ) -> None:
        super().__init__(server_text=server_text, code=code)
        self.remedy = remedy


class ImapThrottled(ImapError):
    """Not now: too many connections, too much traffic, or the mailbox is not ready.

    `wait_seconds` is what the server asked for, None when it named no time.
    """

    sentence = "the IMAP server asks to wait"

    def __init__(
        self,
        wait_seconds: float | None = None,
        *,
        server_text: str = "",
        code: ResponseCode | None = None,
    ) -> None:
        super().__init__(server_text=server_text, code=code)
        self.wait_seconds = wait_seconds


class ImapInvalidArgument(ImapError, ValueError):
    """The caller asked for what cannot be written in IMAP (CR in a name, say). Nothing was sent."""

    sentence = "not expressible in IMAP"
