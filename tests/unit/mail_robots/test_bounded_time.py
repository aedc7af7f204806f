"""Hostile input: the worst text, headers and parts are judged in linear time."""

import time
from collections.abc import Callable

import pytest

from postroom.mail.authresults import trust
from postroom.mail.automatic import classify
from postroom.mail.automatic.senders import refuses_replies
from postroom.mail.message import Mail
from postroom.mail.report import parse_report
from postroom.mail.thread import content_key, display_subject, reply_references, reply_subject
from tests.unit.mail_robots.mails import mail, part

SIZE = 1_000_000
SECONDS = 2.0

WORST = {
    "letters": "a" * SIZE,
    "dashes": "-" * SIZE,
    "spaces": " " * SIZE,
    "new lines": "\n" * SIZE,
    "spaced lines": "   \n" * (SIZE // 4),
    "angles": "<" * SIZE,
    "at signs": "a@" * (SIZE // 2),
    "addresses": "bob@example.com\n" * (SIZE // 16),
    "addresses on one line": "bob@example.com " * (SIZE // 16),
    "many addresses": "".join(f"{n}@example.com: 550 5.1.1 no\n" for n in range(30_000)),
    "codes": "550 " * (SIZE // 4),
    "dots": "5.1.1." * (SIZE // 6),
    "user": "user " * (SIZE // 5),
    "recipient fields": "Final-Recipient: x\n" * (SIZE // 19),
    "folded lines": "Final-Recipient: x\n" + " y\n" * (SIZE // 3),
    "header lines": "Received: x\n" * (SIZE // 12),
    "ids": "Message-ID: " * (SIZE // 12),
    "quotes and brackets": '"(' * (SIZE // 2),
    "encoded groups": "Content-Transfer-Encoding: base64\n" * (SIZE // 34),
    "messages": "your message\n" * (SIZE // 13),
    "messages on one line": "your message " * (SIZE // 13),
    "wrapped": "one\nbob@example.com two\n" * (SIZE // 24),
    "prefixes": "Re: " * (SIZE // 4),
    "marks": "[EXT] " * (SIZE // 6),
    "open marks": "[" * SIZE,
    "questions": "a? " * (SIZE // 3),
    "somebody's mail": "my our " * (SIZE // 7),
    "no and no": "no-" * (SIZE // 3),
    "senders": "sent by\nbob@example.com\n\n" * (SIZE // 25),
}


def took(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def bounce(text: str) -> Mail:
    return mail(sender="MAILER-DAEMON@mx.example.org", subject="failure notice", text=text)


@pytest.mark.parametrize("name", WORST)
def test_a_megabyte_of_the_worst_text_is_judged_in_time(name: str) -> None:
    text = WORST[name]
    assert took(lambda: classify(mail(text=text, subject=text))) < SECONDS
    assert took(lambda: parse_report(bounce(text))) < SECONDS
    parts = (part("message/delivery-status", text), part("message/rfc822", text))
    report = mail(("Content-Type", "multipart/report"), attachments=parts, text="")
    assert took(lambda: parse_report(report)) < SECONDS
    assert took(lambda: content_key(mail(text=text))) < SECONDS


@pytest.mark.parametrize("name", WORST)
def test_a_megabyte_of_the_worst_header_is_read_in_time(name: str) -> None:
    value = " ".join(WORST[name].split())
    written = mail(("Authentication-Results", f"mx.example.net; {value}"), ("Auto-Submitted", value))
    assert took(lambda: trust(written, ("mx.example.net",))) < SECONDS
    assert took(lambda: classify(written)) < SECONDS
    assert took(lambda: (reply_subject(value), display_subject(value))) < SECONDS
    assert took(lambda: reply_references(value.split(), "m@x", value.split())) < SECONDS


@pytest.mark.parametrize("name", WORST)
def test_a_megabyte_in_the_fields_of_programs_is_read_in_time(name: str) -> None:
    value = " ".join(WORST[name].split())
    written = mail(
        ("X-Auto-Response-Suppress", f"DR, OOF, AutoReply, {value}"),
        *((field, value) for field in ("X-Mailer", "User-Agent", "Delivered-To", "Return-Path")),
        ("X-MS-Exchange-Generated-Message-Source", "Mailbox Rules Agent"),
        ("X-MS-Exchange-Inbox-Rules-Loop", value),
    )
    assert took(lambda: classify(written)) < SECONDS
    assert took(lambda: refuses_replies((value, WORST[name]))) < SECONDS
