"""What is known of the large mail providers, and what a person should do about each fault (A3)."""

from dataclasses import dataclass
from typing import Final, Literal

from postroom.core.errors import ServerCode

Protocol = Literal["imap", "smtp"]

DEFAULT_IDLE_LIMIT = 540.0


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider as its servers are known to behave; empty fields mean the standard is enough.

    `suffixes`: endings of its host names. `app_password_url`: the page where a person makes an app password,
    or that explains how; `app_password_only`: nothing else logs in, with two-step verification or without.
    `idle_limit`: seconds after which an IDLE must be renewed, below the provider's own limit (RFC 2177 says
    29 minutes; NAT and providers say less). `keeps_sent_copy`: its submission server files what it sends, so
    we must not. `refuses_passwords`: only OAuth2 logs in. `all_mail`: mailboxes that hold every message
    again. `daily_download`: bytes a day that an account may read over IMAP; None where no limit is known.
    `setup`: what has to be switched on first, as a sentence.
    """

    name: str = ""
    suffixes: tuple[str, ...] = ()
    app_password_url: str = ""
    app_password_only: bool = True
    idle_limit: float = DEFAULT_IDLE_LIMIT
    keeps_sent_copy: bool = False
    refuses_passwords: bool = False
    all_mail: tuple[str, ...] = ()
    daily_download: int | None = None
    setup: str = ""


UNKNOWN: Final = Provider()

_AUTHORIZATION_CODE = (
    "IMAP must be switched on in the web settings; log in with the authorization code shown there."
)

PROVIDERS: Final = (
    Provider(
        "Gmail",
        ("gmail.com", "googlemail.com"),
        "https://myaccount.google.com/apppasswords",
        keeps_sent_copy=True,
        all_mail=("[Gmail]/All Mail", "[Google Mail]/All Mail"),
        daily_download=2_500_000_000,
        setup="App passwords need 2-Step Verification.",
    ),
    Provider(
        "Outlook",
        ("office365.com", "outlook.com", "hotmail.com", "live.com", "office365.us", "outlook.cn"),
        keeps_sent_copy=True,
        refuses_passwords=True,
    ),
    Provider(
        "Yahoo",
        ("mail.yahoo.com", "mail.yahoo.co.uk", "bizmail.yahoo.com", "att.yahoo.com"),
        "https://login.yahoo.com/account/security",
        idle_limit=170.0,
    ),
    Provider("AOL", ("aol.com",), "https://login.aol.com/account/security", idle_limit=170.0),
    Provider(
        "iCloud",
        ("mail.me.com", "mail.icloud.com"),
        "https://account.apple.com/account/manage",
        setup="App-specific passwords need two-factor authentication.",
    ),
    Provider(
        "Fastmail",
        ("fastmail.com", "messagingengine.com"),
        "https://app.fastmail.com/settings/security",
    ),
    Provider(
        "GMX",
        ("gmx.net", "gmx.com", "gmx.de", "gmx.at", "gmx.ch"),
        "https://hilfe.gmx.net/sicherheit/2fa/anwendungsspezifisches-passwort.html",
        app_password_only=False,
        setup="Access by POP3 and IMAP must be allowed in the settings of GMX.",
    ),
    Provider(
        "WEB.DE",
        ("web.de",),
        "https://hilfe.web.de/sicherheit/2fa/anwendungsspezifisches-passwort.html",
        app_password_only=False,
        setup="Access by POP3 and IMAP must be allowed in the settings of WEB.DE.",
    ),
    Provider(
        "Zoho",
        ("zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zohocloud.ca"),
        "https://accounts.zoho.com/home#security/app_password",
        app_password_only=False,
        setup="IMAP access must be switched on in the settings of Zoho Mail.",
    ),
    Provider(
        "Yandex",
        ("yandex.com", "yandex.ru"),
        "https://id.yandex.com/security/app-passwords",
        setup="Access by IMAP must be switched on in the settings of Yandex Mail.",
    ),
    Provider("Mail.ru", ("mail.ru",), "https://account.mail.ru/user/2-step-auth/passwords/"),
    Provider("NetEase", ("163.com", "126.com", "yeah.net"), idle_limit=50.0, setup=_AUTHORIZATION_CODE),
    Provider("QQ Mail", ("qq.com",), setup=_AUTHORIZATION_CODE),
)


def provider_for(host: str) -> Provider:
    """The provider whose server this is, by the end of its name; `UNKNOWN` otherwise."""
    name = host.strip().rstrip(".").lower()
    for provider in PROVIDERS:
        if any(name == suffix or name.endswith(f".{suffix}") for suffix in provider.suffixes):
            return provider
    return UNKNOWN


def hint(code: ServerCode, provider: Provider, protocol: Protocol) -> str:
    """What a person should do about `code`; empty for `ok`."""
    if code in (ServerCode.AUTH_FAILED, ServerCode.APP_PASSWORD_REQUIRED):
        return _password_hint(code, provider)
    if code is ServerCode.NEEDS_OAUTH:
        return _oauth_hint(provider)
    return _HINTS[code].format(field=_FIELD[protocol], ports=_PORTS[protocol])


def _password_hint(code: ServerCode, provider: Provider) -> str:
    app_password_needed = code is ServerCode.APP_PASSWORD_REQUIRED
    if not provider.app_password_url:
        return _sentences(_MAKE_ONE if app_password_needed else _CHECK_LOGIN, provider.setup)
    if provider.app_password_only or app_password_needed:
        rule = f"{provider.name} takes an app password, not the one you sign in with."
    else:
        rule = (
            f"Check user name and password. With two-factor login {provider.name} takes an app password only."
        )
    return _sentences(rule, provider.setup, f"Make one here and save it: {provider.app_password_url}")


def _oauth_hint(provider: Provider) -> str:
    who = "Microsoft (Outlook.com, Microsoft 365)" if provider.refuses_passwords else "This server"
    return (
        f"{who} does not take passwords from programs; it asks for OAuth2, which Postroom cannot do yet. "
        "Use a mailbox of another provider, or forward to one."
    )


_CHECK_LOGIN: Final = (
    "Check user name and password. With two-step verification most providers want an app password."
)
_MAKE_ONE: Final = "The provider takes an app password only. Make one in its security settings and save it."


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


_FIELD: Final = {"imap": "incomingServer", "smtp": "outgoingServer"}
_PORTS: Final = {"imap": "993 (TLS) or 143 (STARTTLS)", "smtp": "587 (STARTTLS) or 465 (TLS)"}

_HINTS: Final = {
    ServerCode.OK: "",
    ServerCode.DNS_FAILED: "Check the spelling of {field}: no server is known by this name.",
    ServerCode.HOST_NOT_ALLOWED: (
        "Use the public name of the mail server for {field}. For a server in a private network the operator "
        "must list its name or network in POSTROOM_ALLOW_HOSTS."
    ),
    ServerCode.CONNECT_FAILED: "Check {field} and its port, usually {ports}, and the firewall.",
    ServerCode.TIMEOUT: "The server is slow or unreachable. Check {field} and its port, usually {ports}.",
    ServerCode.TLS_FAILED: (
        "Check that {field} is the name in the server's certificate and that port and security belong "
        "together, usually {ports}. For a private CA the operator sets POSTROOM_TLS_CA_FILE."
    ),
    ServerCode.THROTTLED: "The server asks to wait. Postroom tries again by itself.",
    ServerCode.MAILBOX_MISSING: "Check the names in the setting watch: this mailbox does not exist.",
    ServerCode.PROTOCOL_ERROR: (
        "The server answered in a way that Postroom does not understand. Check that {field} and its port, "
        "usually {ports}, belong to a mail server of this kind."
    ),
}
