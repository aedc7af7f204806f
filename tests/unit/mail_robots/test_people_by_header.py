"""People whose mail looks like a robot's in a header field, each beside the robot that it looks like."""

import pytest

from postroom.mail.automatic import classify
from postroom.mail.message import Mail
from tests.unit.mail_robots.mails import mail

REPLY = ("In-Reply-To", "<ours@example.net>")
COMPANY = ("X-Auto-Response-Suppress", "DR, OOF, AutoReply")
EVERY = ("X-Auto-Response-Suppress", "DR, RN, NRN, OOF, AutoReply")
REFUSED = "550 5.1.1 <bob@example.com>: user unknown"


def reason(message: Mail) -> str:
    verdict = classify(message)
    return verdict.reason if verdict else ""


def test_a_return_path_without_brackets_tells_nothing() -> None:
    assert reason(mail(("Return-Path", " "))) == ""
    assert reason(mail(("Return-Path", ""), ("Return-Path", "<>"))) == ""
    assert reason(mail(("Return-Path", "<>"))) == "null_return_path"


def redirected(owner: str, *more: tuple[str, str], submitted: str = "auto-generated") -> Mail:
    return mail(
        ("Auto-Submitted", submitted),
        ("X-MS-Exchange-Generated-Message-Source", "Mailbox Rules Agent"),
        ("X-MS-Exchange-Inbox-Rules-Loop", owner),
        *more,
        sender="Ada <ada@example.org>",
    )


def test_what_a_rule_of_exchange_redirects_is_its_writers() -> None:
    assert reason(redirected("old-desk@example.com")) == ""
    assert reason(redirected("Ada@example.org")) == "auto_submitted"
    assert reason(redirected("1")) == "auto_submitted"


def test_what_was_automatic_before_it_was_redirected_stays_so() -> None:
    owner = "old-desk@example.com"
    assert reason(redirected(owner, submitted="auto-replied")) == "auto_submitted"
    assert reason(redirected(owner, ("Auto-Submitted", "auto-generated"))) == "auto_submitted"
    assert reason(redirected(owner, ("X-Auto-Response-Suppress", "All"))) == "x_auto_response_suppress"
    assert reason(redirected(owner, ("List-Id", "<cats.example.org>"))) == "list_id"


@pytest.mark.parametrize(
    "field",
    [
        ("Delivered-To", "vacation@resort.example"),
        ("Delivered-To", "autoresponder-team@example.net"),
        ("X-Mailer", "VacationRental CRM 3.1"),
        ("X-Mailer", "Vacation-Rentals Mailer"),
        ("X-Mailer", "Preautoreplyable 2"),
    ],
)
def test_a_word_of_automatic_replies_within_a_name_is_no_sign(field: tuple[str, str]) -> None:
    assert reason(mail(field)) == ""


@pytest.mark.parametrize(
    ("field", "sign"),
    [
        (("Delivered-To", "Autoresponder"), "delivered_to"),
        (("X-Mailer", "vacation 1.2.7"), "x_mailer"),
        (("X-Mailer", "Vacation/1.2.6.1"), "x_mailer"),
        (("X-Mailer", "Example auto-responder 2"), "x_mailer"),
        (("X-Mailer", "example_AutoReply"), "x_mailer"),
    ],
)
def test_programs_that_reply_by_their_names(field: tuple[str, str], sign: str) -> None:
    assert reason(mail(field)) == sign


@pytest.mark.parametrize("suppressed", [COMPANY, EVERY])
@pytest.mark.parametrize(
    "also",
    [
        REPLY,
        ("References", "<ours@example.net>"),
        ("X-Mailer", "git-send-email 2.35.6"),
        ("X-Mailer", "Microsoft Outlook 16.0"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Thunderbird/102.2.1"),
        ("User-Agent", "Mutt/2.2.9"),
        ("User-Agent", "Microsoft-MacOutlook/16.60"),
    ],
)
def test_a_company_that_suppresses_answers_to_all_its_people_write(
    suppressed: tuple[str, str], also: tuple[str, str]
) -> None:
    assert reason(mail(suppressed, also)) == ""


@pytest.mark.parametrize(
    "value",
    ["All", "OOF", "AutoReply", "OOF, AutoReply", "DR, OOF", "RN, NRN, OOF", "All, DR, OOF, AutoReply"],
)
@pytest.mark.parametrize("also", [REPLY, ("X-Mailer", "Microsoft Outlook 16.0")])
def test_a_short_list_of_what_is_suppressed_is_a_programs(value: str, also: tuple[str, str]) -> None:
    assert reason(mail(("X-Auto-Response-Suppress", value), also)) == "x_auto_response_suppress"


@pytest.mark.parametrize("suppressed", [COMPANY, EVERY])
@pytest.mark.parametrize("also", [("X-Priority", "3"), ("X-Mailer", "Example Desk 4")])
def test_a_first_mail_that_suppresses_answers_needs_a_persons_program(
    suppressed: tuple[str, str], also: tuple[str, str]
) -> None:
    assert reason(mail(suppressed, also)) == "x_auto_response_suppress"


@pytest.mark.parametrize(
    "sender",
    [
        "Enno Reply <enno.reply@example.de>",
        "Bruno <bruno-reply@example.de>",
        "Juno Response Team <team@juno.example>",
        "Eleonor Esponda <eleonor.esponda@example.es>",
        "Print Shop <mailer@printshop.example>",
    ],
)
def test_a_name_that_only_runs_into_a_robots_is_a_persons(sender: str) -> None:
    assert reason(mail(sender=sender)) == ""


@pytest.mark.parametrize(
    "sender",
    [
        "messages-noreply@example.org",
        "ShopNoReply@example.org",
        "no_reply.shop@example.org",
        '"Please don\'t reply" <shop@example.org>',
        "Loja <nao-responda@example.com.br>",
        "Não responda <loja@example.com.br>",
        "pleasedonotreply@example.org",
    ],
)
def test_a_no_reply_name_in_its_spellings(sender: str) -> None:
    assert reason(mail(sender=sender)) == "no_reply_address"


def test_an_address_of_a_mailer_counts_with_another_sign() -> None:
    bounced = mail(sender="mailer@mx.example.com", subject="failure notice", text=f"Undeliverable. {REFUSED}")
    assert reason(bounced) == "report_words"
