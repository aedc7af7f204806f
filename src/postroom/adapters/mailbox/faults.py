"""What goes wrong with an IMAP server, in the words that the engine and people know (A3)."""

from collections.abc import Iterator
from contextlib import contextmanager

from postroom.adapters.tls import tls_fault
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Login
from postroom.core.providers import Provider, hint, provider_for
from postroom.imap.errors import (
    ImapAuthenticationFailed,
    ImapClosed,
    ImapConnectError,
    ImapError,
    ImapNo,
    ImapThrottled,
    ImapTimeout,
    ImapTlsError,
    Remedy,
    TlsFault,
)

_SILENT = "the IMAP server did not answer in time"


@contextmanager
def translated(login: Login) -> Iterator[None]:
    """Raises what the client raises as `MailServerError`, with what its reader should do next."""
    # Thousands of mailboxes pass here with every poll: who the provider is, is asked when it matters.
    try:
        yield
    except ImapError as exc:
        provider = provider_for(login.server.host)
        raise _hinted(_translation(exc, login, provider), provider) from exc
    except TimeoutError as exc:
        silent = MailServerError(ServerCode.TIMEOUT, _SILENT)
        raise _hinted(silent, provider_for(login.server.host)) from exc
    except MailServerError as exc:
        _hinted(exc, provider_for(login.server.host))
        raise


def missing_mailbox(exc: ImapNo) -> MailServerError:
    """For a mailbox that cannot be opened."""
    return MailServerError(
        ServerCode.MAILBOX_MISSING, f"the mailbox does not exist or cannot be opened{_named(exc)}"
    )


def refused_append(exc: ImapNo) -> MailServerError:
    """For a copy that the server does not take. Not temporary; the session can still be used."""
    missing = exc.code is not None and exc.code.name in ("TRYCREATE", "NONEXISTENT")
    code = ServerCode.MAILBOX_MISSING if missing else ServerCode.PROTOCOL_ERROR
    error = MailServerError(code, f"the IMAP server does not store the message{_named(exc)}")
    error.temporary = False
    return error


def unsendable_login() -> MailServerError:
    """For a user name or password that cannot be written in any login command."""
    return MailServerError(ServerCode.AUTH_FAILED, "user name or password hold control characters")


def _named(exc: ImapNo) -> str:
    return f" ({exc.code.name})" if exc.code is not None else ""


def _hinted(error: MailServerError, provider: Provider) -> MailServerError:
    error.hint = error.hint or hint(error.server_code, provider, "imap")
    return error


def _translation(exc: ImapError, login: Login, provider: Provider) -> MailServerError:
    if isinstance(exc, ImapAuthenticationFailed):
        return MailServerError(_login_code(exc, login, provider), str(exc))
    if isinstance(exc, ImapThrottled):
        return MailServerError(ServerCode.THROTTLED, str(exc), after=exc.wait_seconds)
    if isinstance(exc, ImapTlsError):
        return MailServerError(ServerCode.TLS_FAILED, _tls_text(exc))
    codes = (
        (ImapTimeout, ServerCode.TIMEOUT),
        (ImapConnectError, ServerCode.CONNECT_FAILED),
        (ImapClosed, ServerCode.CONNECT_FAILED),
    )
    code = next((code for kind, code in codes if isinstance(exc, kind)), ServerCode.PROTOCOL_ERROR)
    return MailServerError(code, str(exc))


def _login_code(exc: ImapAuthenticationFailed, login: Login, provider: Provider) -> ServerCode:
    if login.mechanism == "password" and provider.refuses_passwords:
        return ServerCode.NEEDS_OAUTH
    if exc.remedy is Remedy.APP_PASSWORD:
        return ServerCode.APP_PASSWORD_REQUIRED
    if exc.remedy is Remedy.OAUTH and login.mechanism == "password":
        # Where app passwords exist, they are the way around a login that must be made in a browser.
        return ServerCode.APP_PASSWORD_REQUIRED if provider.app_password_url else ServerCode.NEEDS_OAUTH
    return ServerCode.AUTH_FAILED


def _tls_text(exc: ImapTlsError) -> str:
    return tls_fault(exc.__cause__) if exc.fault is TlsFault.CERTIFICATE else f"{exc}; nothing was sent"
