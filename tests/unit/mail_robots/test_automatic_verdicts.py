"""D7: which mail is automatic, of what kind, and by which sign; and that people are not."""

import pytest

from postroom.mail.automatic import classify
from tests.unit.mail_robots.mails import mail, part

REPORT = "multipart/report; report-type={}; boundary=x"

HEADER_SIGNS = [
    (("Auto-Submitted", "auto-replied"), "vacation", "auto_submitted"),
    (("Auto-Submitted", "auto-generated (cron)"), "automatic", "auto_submitted"),
    (("Auto-submitted", "AUTO-NOTIFIED; owner-email=x"), "automatic", "auto_submitted"),
    (("Return-Path", "<>"), "automatic", "null_return_path"),
    (("X-Auto-Response-Suppress", "DR, OOF"), "automatic", "x_auto_response_suppress"),
    (("X-Auto-Response-Suppress", "all"), "automatic", "x_auto_response_suppress"),
    (("X-Autoreply", "yes"), "vacation", "x_autoreply"),
    (("X-Autorespond", "holiday"), "vacation", "x_autorespond"),
    (("Precedence", "bulk"), "bulk", "precedence_bulk"),
    (("Precedence", "Junk"), "bulk", "precedence_junk"),
    (("Precedence", "list"), "list", "precedence_list"),
    (("Precedence", "auto_reply"), "vacation", "precedence_auto_reply"),
    (("List-Id", "Cats <cats.example.org>"), "list", "list_id"),
    (("List-Post", "<mailto:cats@example.org>"), "list", "list_post"),
    (("Mailing-List", "contact cats-help@example.org"), "list", "mailing_list"),
    (("List-Unsubscribe", "<https://example.org/u>"), "bulk", "list_unsubscribe"),
    (("X-Loop", "desk@example.net"), "automatic", "x_loop"),
    (("X-Failed-Recipients", "bob@example.com"), "report", "x_failed_recipients"),
    (("Content-Type", REPORT.format("delivery-status")), "report", "multipart_report"),
    (("Content-Type", REPORT.format("feedback-report")), "complaint", "multipart_report"),
    (
        ("Content-Type", REPORT.format('"disposition-notification"')),
        "disposition",
        "multipart_report",
    ),
    (("Return-Path", "<cats-bounces@example.org>"), "list", "list_address"),
    (("Return-Path", "<owner-cats@example.org>"), "list", "list_address"),
]

SENDERS = [
    ("Mail Delivery System <MAILER-DAEMON@mx.example.org>", "report", "mailer_daemon"),
    ("MAILER-DAEMON", "report", "mailer_daemon"),
    ("Mail_Delivery.System@mx.example.org", "report", "mailer_daemon"),
    ("postmaster@example.org", "automatic", "postmaster"),
    ("Shop <no-reply@example.org>", "no_reply", "no_reply_address"),
    ("do_not_reply+17@example.org", "no_reply", "no_reply_address"),
    ("Rathaus <nicht.antworten@example.de>", "no_reply", "no_reply_address"),
    ("ne-pas-repondre@example.fr", "no_reply", "no_reply_address"),
    ('"DO NOT REPLY" <alerts@example.org>', "no_reply", "no_reply_address"),
    ("Cron Daemon <root@host.example.org>", "automatic", "system_address"),
    ("cats-request@example.org", "list", "list_address"),
]

PEOPLE = [
    ("Auto-Submitted", "no"),
    ("Auto-Submitted", "No (a person)"),
    ("X-Auto-Response-Suppress", "None"),
    ("X-Auto-Response-Suppress", "DR, RN, NRN"),
    ("Precedence", "first-class"),
    ("Precedence", "normal"),
    ("Return-Path", "<ada@example.org>"),
    ("Return-Path", "<www-data@web.example.org>"),
    ("List-Id", ""),
    ("X-Autoreply", "no"),
    ("X-Priority", "1"),
    ("Feedback-ID", "17:shop"),
    ("Disposition-Notification-To", "ada@example.org"),
    ("X-Report-Abuse-To", "abuse@example.org"),
]

HUMAN_SUBJECTS = [
    ("Out of office next week", "I will be out of the office next week, can Bob stand in?"),
    ("Vacation request", "Hi, I will be on vacation from Monday. Please approve."),
    ("Abwesenheit im Juli", "Hallo, im Juli bin ich im Urlaub."),
    ("Delivery failed", "My parcel could not be delivered, the courier says. Where is it?"),
    ("Auto reply feature", "Does the desk have an automatic reply?"),
    ("Read: this book", "I read it and liked it."),
    ("Fwd: Undelivered Mail Returned to Sender", "See below: <bob@example.com>: 550 5.1.1 unknown"),
    ("Re: Automatic reply: invoice", "Thanks, I will be back with the invoice on Monday."),
]


@pytest.mark.parametrize(("field", "kind", "reason"), HEADER_SIGNS)
def test_d7_a_header_sign_decides_alone(field: tuple[str, str], kind: str, reason: str) -> None:
    verdict = classify(mail(field))
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == (kind, reason)


@pytest.mark.parametrize(("sender", "kind", "reason"), SENDERS)
def test_d7_addresses_of_programs(sender: str, kind: str, reason: str) -> None:
    verdict = classify(mail(sender=sender))
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == (kind, reason)


@pytest.mark.parametrize("field", PEOPLE)
def test_a_person_is_not_held_back_for_a_header(field: tuple[str, str]) -> None:
    assert classify(mail(field)) is None


@pytest.mark.parametrize(("subject", "text"), HUMAN_SUBJECTS)
def test_words_alone_are_no_sign(subject: str, text: str) -> None:
    assert classify(mail(subject=subject, text=text)) is None


def test_the_envelope_of_the_caller_counts_more_than_the_header() -> None:
    written = mail(("Return-Path", "<ada@example.org>"))
    assert classify(written) is None
    for empty in ("", "<>", " <> "):
        verdict = classify(written, return_path=empty)
        assert verdict is not None
        assert verdict.reason == "null_return_path"


def test_only_the_topmost_return_path_counts() -> None:
    forwarded = mail(("Return-Path", "<ada@example.org>"), ("Return-Path", "<>"))
    assert classify(forwarded) is None


def test_a_contact_form_is_answered_at_its_person_but_not_at_a_no_reply_address() -> None:
    assert classify(mail(reply_to="ada@example.org")) is None
    verdict = classify(mail(reply_to="noreply@example.org"))
    assert verdict is not None
    assert verdict.kind == "no_reply"


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Automatic reply: Opening hours", "I am out of the office until Monday."),
        ("Automatische Antwort: Opening hours", "Ich bin nicht im Büro."),
        ("Réponse automatique : Opening hours", "Je suis absente du 3 au 9 mai."),
        ("自動返信: Opening hours", "ただいま不在にしております。"),
        ("Автоматический ответ: Opening hours", "Я в отпуске до понедельника."),
    ],
)
def test_an_automatic_reply_is_known_by_subject_and_text_together(subject: str, text: str) -> None:
    verdict = classify(mail(subject=subject, text=text))
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == ("vacation", "reply_words")


def test_an_absence_put_before_the_subject_counts_when_the_mail_answers_something() -> None:
    text = "I will be back on Monday."
    subject = "Out of Office: Opening hours"
    verdict = classify(mail(subject=subject, text=text, in_reply_to=("ours@example.net",)))
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == ("vacation", "absence_words")
    assert classify(mail(subject=subject, text=text)) is None


def test_a_report_that_lost_its_type_is_known_by_its_parts_and_sender() -> None:
    parts = (part("message/delivery-status", "Final-Recipient: rfc822; bob@example.com\n"),)
    verdict = classify(mail(sender="MAILER-DAEMON@mx.example.org", attachments=parts))
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == ("report", "report_part")
    person = mail(subject="Fwd: can you read this?", attachments=parts)
    assert classify(person) is None


def test_a_bounce_without_any_header_is_known_by_its_words() -> None:
    text = "Your message did not reach the following recipient(s):\nbob@example.com 550 5.1.1 gone"
    verdict = classify(mail(subject="Undeliverable: Opening hours", text=text))
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == ("report", "report_words")


def test_a_read_receipt_without_parts_is_a_disposition() -> None:
    text = "Your message\n To: Bob\n Subject: Opening hours\nwas read on Monday."
    verdict = classify(mail(("Return-Path", "<>"), subject="Read: Opening hours", text=text))
    assert verdict is not None
    assert verdict.kind == "disposition"


def test_an_old_complaint_is_known_by_subject_and_the_mail_it_returns() -> None:
    returned = (part("message/rfc822", "Message-ID: <ours@example.net>\n\nHello"),)
    subject = "complaint about message from 192.0.2.1"
    verdict = classify(mail(subject=subject, attachments=returned))
    assert verdict is not None
    assert verdict.kind == "complaint"
    assert classify(mail(subject=subject)) is None
