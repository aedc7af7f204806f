"""People who write about bounces, complaints and receipts, each beside the robot that writes them."""

import pytest

from postroom.mail.automatic import classify
from postroom.mail.message import Mail
from tests.unit.mail_robots.mails import mail, part

REFUSED = "550 5.1.1 <bob@example.com>: user unknown"
STATUS = part("message/delivery-status", "Final-Recipient: rfc822; bob@example.com\nAction: failed\n")
RETURNED = part("message/rfc822", "Message-ID: <ours@example.net>\n\nHello\n")


def reason(message: Mail) -> str:
    verdict = classify(message)
    return verdict.reason if verdict else ""


ASKED_ABOUT = [
    f"Good morning,\nthe mail I wrote came back: could not be delivered. {REFUSED}",
    f"The mail could not be delivered, {REFUSED}. Is the address right?",
    f"This came back.\n\nA message could not be delivered. {REFUSED}\n\nWhat now?",
    f"Our message was not delivered to your billing. {REFUSED}",
    f"Hi,\nbob@example.com is refused, it could not be delivered: {REFUSED}",
    f"Guten Tag, die Mail konnte nicht zugestellt werden: {REFUSED}",
    f"Notre message n'a pas pu être remis : {REFUSED}",
    f"メールが送信できませんでした。{REFUSED} と表示されます。どうすればよいですか。",
    f"我们的邮件无法投递，{REFUSED}",
]


@pytest.mark.parametrize("text", ASKED_ABOUT)
def test_a_person_who_asks_about_a_bounce_is_answered(text: str) -> None:
    assert reason(mail(subject="Undeliverable mail", text=text)) == ""
    assert reason(mail(subject="Undeliverable mail", text=text, attachments=(RETURNED,))) == ""


@pytest.mark.parametrize(
    "text",
    [
        f"Hi. This is the mail program at mx.example.com.\nWas not delivered: {REFUSED}",
        f"Hello desk@example.net,\nyour message was not delivered: {REFUSED}",
        f"Hi <desk@example.net>,\nyour message was not delivered: {REFUSED}",
        f"Bonjour,\nVotre message n'a pas pu être délivré à :\n{REFUSED}",
        f"Sehr geehrter Absender,\nyour message was not delivered: {REFUSED}",
        f"Dear sender,\nyour message was not delivered by our mail server: {REFUSED}",
        f"Your message was not delivered: {REFUSED}\nSee https://help.example.com/?p=unknown for more.",
        f"Your message was not delivered: {REFUSED}\nWas this helpful? Tell us.",
        f"Your message was not delivered: {REFUSED}\n--- Below is a copy.\n\nHi, is the shop open?\n",
        f"Your message was not delivered: {REFUSED}\n\nReceived: from a\nSubject: Hi\n\nIs it open?\n",
    ],
)
def test_a_bounce_that_sounds_like_a_person_is_still_one(text: str) -> None:
    assert reason(mail(subject="Undeliverable mail", text=text)) == "report_words"


@pytest.mark.parametrize(
    "prefix",
    [
        "[EXTERNAL] FW:",
        "[#123] Re:",
        "Re[2]:",
        "转发:",
        "回复：",
        "VL:",
        "Vá:",
        "İLT:",
        "ΠΡΘ:",
        "I:",
        "R:",
        "Tr :",
    ],
)
def test_a_report_that_somebody_carried_on_is_a_persons(prefix: str) -> None:
    subject = f"{prefix} Undeliverable: Opening hours"
    assert reason(mail(subject=subject, text=f"Delivery has failed: {REFUSED}")) == ""
    assert reason(mail(subject=subject, attachments=(STATUS,))) == ""


@pytest.mark.parametrize(
    "subject",
    [
        "Delivery Status Notification (Failure): Re: Opening hours",
        "Undeliverable: Fwd: Opening hours",
        "failure notice: Opening hours",
        "WARNING: Mail delayed: Opening hours",
        "[EXTERNAL] Undeliverable: Opening hours",
        "[Gateway] Error: undelivered mail",
        "Status notification : Undeliverable",
    ],
)
def test_a_report_keeps_its_own_colons(subject: str) -> None:
    assert reason(mail(subject=subject, text=f"Delivery has failed: {REFUSED}")) == "report_words"
    assert reason(mail(subject=subject, attachments=(STATUS,))) == "report_part"


def test_a_complaint_by_words_says_nothing_itself() -> None:
    subject = "Spam report"
    assert reason(mail(subject=subject, text="I got this. Please look.", attachments=(RETURNED,))) == ""
    for text in (" \n", "This is an Example Abuse Report for an email message received from 192.0.2.1.\n"):
        assert reason(mail(subject=subject, text=text, attachments=(RETURNED,))) == "complaint_words"


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Read: your terms", "The contract was read by a lawyer. What next?"),
        ("Read receipt", "I got a note. My last message was read, or deleted."),
        ("Gelesen: Vertrag", "Der Vertrag wurde von uns gelesen."),
        ("Lu : contrat", "Le contrat a été lu. Quand commence-t-il ?"),
    ],
)
def test_a_person_who_read_something_is_no_receipt(subject: str, text: str) -> None:
    assert reason(mail(subject=subject, text=text)) == ""


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Read: Hours", "Your message\n  To: Ada\n  Subject: Hours\n was read on Monday."),
        ("Gelesen: Zeiten", "Ihre Nachricht\n  An: Ada\n wurde am Montag gelesen."),
        ("Lu : Horaires", "Votre message\n  À : Ada\n a été lu le lundi."),
        ("Return Receipt", "A return receipt for the mail that you sent. The message was displayed."),
    ],
)
def test_a_receipt_speaks_of_your_message(subject: str, text: str) -> None:
    assert reason(mail(subject=subject, text=text)) == "receipt_words"
