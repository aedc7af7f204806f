"""What servers mean by a refusal, in their own words."""

import pytest

from postroom.imap.errors import (
    ImapAuthenticationFailed,
    ImapBad,
    ImapBye,
    ImapError,
    ImapNo,
    ImapThrottled,
    Remedy,
)
from postroom.imap.refusal import refused, refused_login, remedy, wait_seconds
from postroom.imap.responses import Condition, Tagged, read_response


def said(line: str) -> Tagged | Condition:
    response = read_response((line.encode(),))
    assert isinstance(response, Tagged | Condition)
    return response


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("a NO [NONEXISTENT] no such mailbox", ImapNo),
        ("a NO [OVERQUOTA] mailbox is full", ImapNo),
        ("a NO [TRYCREATE] Mailbox does not exist, or is not available", ImapNo),
        ("a BAD Command unknown", ImapBad),
        ("a NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", ImapThrottled),
        ("a NO [THROTTLED] slow down", ImapThrottled),
        ("a NO [SERVERBUG] Internal error occurred", ImapThrottled),
        ("a NO Server Unavailable. 15", ImapThrottled),
        ("a BAD User is authenticated but not connected.", ImapThrottled),
        ("a NO [AUTHENTICATIONFAILED] token expired, try again later", ImapAuthenticationFailed),
        ("a NO [CONTACTADMIN] mailbox is corrupt", ImapNo),
        ("* BYE Autologout; idle for too long", ImapBye),
        ("* BYE Session invalidated - AccessTokenExpired", ImapBye),
        ("* BYE Too many connections from your host", ImapThrottled),
        ("* BYE [ALERT] Temporarily unavailable", ImapThrottled),
    ],
)
def test_refusals_of_commands_and_byes(line: str, kind: type[ImapError]) -> None:
    failure = refused(said(line))
    assert type(failure) is kind
    assert failure.server_text
    assert failure.server_text not in str(failure)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Request is throttled. Suggested Backoff Time: 299961 milliseconds", 299.961),
        ("Retry after 20 seconds", 20),
        ("try again in 5 minutes.", 300),
        ("please wait 2 min", 120),
        ("Suggested Backoff Time: 99999999999999 milliseconds", None),
        ("Backoff time: 9999999 s", 86_400),
        ("Error 15", None),
        ("", None),
    ],
)
def test_the_time_to_wait(text: str, seconds: float | None) -> None:
    found = wait_seconds(text)
    assert found == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Application-specific password required: https://support.google.com/", Remedy.APP_PASSWORD),
        ("[AUTH] please use an app password", Remedy.APP_PASSWORD),
        ("LogonDenied-BasicAuthBlocked", Remedy.OAUTH),
        ("Please log in via your web browser", Remedy.OAUTH),
        ("Your account is not enabled for IMAP use. Please visit your settings", Remedy.ENABLE_IMAP),
        ("Invalid credentials (Failure)", Remedy.NONE),
    ],
)
def test_what_the_owner_can_do(text: str, what: Remedy) -> None:
    assert remedy(text) is what
    failure = refused_login(said(f"a NO {text}"))
    assert isinstance(failure, ImapAuthenticationFailed)
    assert failure.remedy is what


def test_a_server_that_does_not_understand_a_login_says_nothing_of_the_password() -> None:
    assert isinstance(refused_login(said("a BAD Error in IMAP command")), ImapBad)


def test_endless_words_are_cut() -> None:
    failure = refused(said("a NO wait 1" + " " * 100_000 + "wait"))
    assert len(failure.server_text) <= 1_000
