"""What is known of mail providers, and the next move for every fault of a server (A3)."""

from typing import get_args

import pytest

from postroom.core.errors import ServerCode
from postroom.core.providers import PROVIDERS, UNKNOWN, Protocol, hint, provider_for


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("imap.gmail.com", "Gmail"),
        ("SMTP.Gmail.com.", "Gmail"),
        ("outlook.office365.com", "Outlook"),
        ("smtp-mail.outlook.com", "Outlook"),
        ("imap.mail.yahoo.com", "Yahoo"),
        ("imap.mail.me.com", "iCloud"),
        ("smtp.fastmail.com", "Fastmail"),
        ("mail.gmx.net", "GMX"),
        ("smtp.web.de", "WEB.DE"),
        ("imap.163.com", "NetEase"),
        ("mail.example.test", ""),
        ("gmail.com.attacker.test", ""),
        ("notgmail.com", ""),
        ("127.0.0.1", ""),
        ("", ""),
    ],
)
def test_a_provider_is_known_by_the_end_of_its_host_names(host: str, name: str) -> None:
    assert provider_for(host).name == name


@pytest.mark.parametrize("protocol", get_args(Protocol))
@pytest.mark.parametrize("code", ServerCode)
def test_a3_every_fault_of_every_provider_has_a_next_move(code: ServerCode, protocol: Protocol) -> None:
    for provider in (*PROVIDERS, UNKNOWN):
        text = hint(code, provider, protocol)
        assert (text == "") == (code is ServerCode.OK)
        assert "{" not in text


@pytest.mark.parametrize("code", [ServerCode.AUTH_FAILED, ServerCode.APP_PASSWORD_REQUIRED])
def test_a3_the_providers_own_page_for_app_passwords_is_named(code: ServerCode) -> None:
    for provider in PROVIDERS:
        if provider.app_password_url:
            assert provider.app_password_url in hint(code, provider, "imap")
    assert "https://myaccount.google.com/apppasswords" in hint(code, provider_for("imap.gmail.com"), "smtp")


def test_a3_a_hint_names_the_field_that_is_to_be_changed() -> None:
    assert "incomingServer" in hint(ServerCode.DNS_FAILED, UNKNOWN, "imap")
    assert "outgoingServer" in hint(ServerCode.DNS_FAILED, UNKNOWN, "smtp")


def test_a5_outlook_takes_no_passwords_and_says_so() -> None:
    outlook = provider_for("outlook.office365.com")
    assert outlook.refuses_passwords
    assert "OAuth2" in hint(ServerCode.NEEDS_OAUTH, outlook, "smtp")


def test_idle_is_renewed_before_the_provider_drops_it() -> None:
    assert provider_for("imap.mail.yahoo.com").idle_limit < 180
    assert provider_for("imap.163.com").idle_limit < 55
    assert all(provider.idle_limit <= 540 for provider in (*PROVIDERS, UNKNOWN))
