"""D8: bounces that follow no standard still tell whom they are about and whether it passes."""

import pytest

from postroom.mail.report import Report, parse_report
from tests.unit.mail_robots.mails import mail, said


def plain(
    text: str, *, sender: str = "MAILER-DAEMON@mx.example.org", subject: str = "failure notice"
) -> Report:
    report = parse_report(mail(text=text, sender=sender, subject=subject))
    assert report is not None
    return report


PLAIN = {
    "qmail": (
        (
            "Hi. This is the qmail-send program at mx.example.org.\nI'm afraid I wasn't able to deliver "
            "your message to the following addresses.\n\n<bob@example.com>:\n192.0.2.9 does not like "
            "recipient.\nRemote host said: 550 5.1.1 no\nGiving up on 192.0.2.9.\n\n<eve@example.com>:\n"
            "Remote host said: 452 4.2.2 full\nI'm not going to try again.\n\n"
            "--- Below this line is a copy of the message.\n\nReturn-Path: <desk@example.net>\n"
            "Message-ID: <ours.3@example.net>\nTo: carol@example.com\n"
        ),
        [("bob@example.com", "5.1.1", False), ("eve@example.com", "4.2.2", True)],
    ),
    "exim": (
        (
            "A message that you sent could not be delivered to one or more of its recipients. This is a "
            "permanent error. The following address(es) failed:\n\n  bob@example.com\n    host "
            "mx.example.com [192.0.2.9]\n    SMTP error from remote mail server after RCPT TO:"
            "<bob@example.com>:\n    550 no such user here\n\n"
            "------ This is a copy of the message, including all the headers. ------\n\n"
            "Return-path: <desk@example.net>\nMessage-ID: <ours.3@example.net>\n"
        ),
        [("bob@example.com", "5.1.1", False)],
    ),
    "exchange": (
        (
            "Your message\n\n  To:      Bob\n  Subject: Hi\n  Sent:    Monday\n\ndid not reach the "
            "following recipient(s):\n\nbob@example.com on Mon, 3 May 2021 10:00:00 +0200\n    The "
            "recipient name is not recognized\n"
        ),
        [("bob@example.com", "5.1.1", False)],
    ),
    "office365": (
        (
            "Delivery has failed to these recipients or groups:\n\nbob@example.com"
            "<mailto:bob@example.com>\nThe address wasn't found.\n\nbob@example.com\nRemote Server "
            "returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'\n\nOriginal message headers:\n\n"
            "Received: from a (192.0.2.1) by b\nMessage-ID: <ours.3@example.net>\n"
        ),
        [("bob@example.com", "5.1.10", False)],
    ),
    "gmail": (
        (
            "Delivery to the following recipient failed permanently:\n\n     bob@example.com\n\nTechnical "
            "details of permanent failure:\nThe error that the other server returned was: 550 550 5.7.1 "
            "<desk@example.net>... rejected (state 14).\n\n----- Original message -----\n\n"
            "Received: by 10.0.0.1\nMessage-ID: <ours.3@example.net>\n"
        ),
        [("bob@example.com", "5.7.1", False)],
    ),
    "yahoo": (
        (
            "Sorry, we were unable to deliver your message to the following address.\n\n"
            "<bob@example.com>:\n554: delivery error: dd This user doesn't have an example.com account\n\n"
            "--- Below this line is a copy of the message.\n\nMessage-ID: <ours.3@example.net>\nTo: x\n"
        ),
        [("bob@example.com", "5.1.1", False)],
    ),
    "old sendmail": (
        (
            "   ----- Transcript of session follows -----\nWhile talking to mx.example.com:\n"
            ">>> RCPT To:<bob@example.com>\n<<< 550 <bob@example.com>, User Unknown\n"
            "550 <bob@example.com>... User unknown\n\n   ----- Unsent message follows -----\n"
            "Received: by mx\nTo: bob@example.com\nMessage-Id: <ours.3@example.net>\n"
        ),
        [("bob@example.com", "5.1.1", False)],
    ),
    "sendmail, only deferred": (
        (
            "   ----- Transcript of session follows -----\n421 example.com (smtp)... Deferred: "
            "Connection timed out with example.com\n\n   ----- Unsent message follows -----\n"
            "Received: by mx\nTo: bob@example.com\nMessage-Id: <ours.3@example.net>\n"
        ),
        [("bob@example.com", "4.4.7", True)],
    ),
    "a sentence": (
        (
            "Unable to deliver message to <bob@example.com>. For help contact <help@example.org>.\n"
            "The mailbox is full.\n"
        ),
        [("bob@example.com", "5.2.2", False)],
    ),
    "a list with dashes": (
        (
            "An email that you attempted to send could not be delivered:\n-- bob@example.com\n\nThe "
            "problem appears to be :\n-- 5.4.1 Recipient address rejected: Access denied\n"
        ),
        [("bob@example.com", "5.4.1", False)],
    ),
    "quoted addresses": (
        (
            'The following address failed:\n\n"bob@example.com":\nSMTP error from remote server after '
            "RCPT command:\nhost: mx.example.com\n5.2.2 <bob@example.com>... Mailbox Full\n"
            '"eve@example.com":\nhost: mx.example.com\n4.4.2 timeout\n'
        ),
        [("bob@example.com", "5.2.2", False), ("eve@example.com", "4.4.2", True)],
    ),
}


ODD = {
    "a quoted list": (
        (
            "The attached message had PERMANENT fatal delivery errors!\n\n> bob@example.com\n\n"
            "--- Session Transcript ---\n MAIL From:<desk@example.net> SIZE=18\n RCPT To:<bob@example.com>\n"
            " 552 Message for <bob@example.com> would exceed mailbox quota\n"
        ),
        ("bob@example.com", "5.2.2"),
    ),
    "a sentence, above one that was wrapped before an address": (
        (
            "Your message to bob@example.com could not be delivered: unknown user.\n\nFor questions write "
            "to our service desk, whose address is\nhelpdesk@hosting.example from 9 to 5.\n"
        ),
        ("bob@example.com", "5.1.1"),
    ),
    "an X.400 address, below the To of the message": (
        (
            "Your message\n\n  To:      team@lists.example\n  Cc:  eve@example.com\n  Subject: RE: Results\n"
            "  Sent:    Fri, 4 Oct 2002 17:10:56 -0400\n\ndid not reach the following recipient(s):\n\n"
            "c=US;a= ;p=CORP;o=Nexus;dda:SMTP=bob@example.com; on Fri, 4 Oct 2002\n17:12:28 -0400\n"
            "    The recipient name is not recognized\n"
        ),
        ("bob@example.com", "5.1.1"),
    ),
    "an address hidden behind an alias": (
        (
            "This is a permanent error. The following address(es) failed:\n\n  an undisclosed address\n"
            "    (generated from bob@example.com)\n"
        ),
        ("bob@example.com", "5.0.0"),
    ),
    "a keyword for list programs": (
        (
            "An error was detected.\n\n--> Error description:\nError-for:  bob@example.com\nError-Code: 0\n"
            'Error-Text: mx said:\n   "554 Message looping (received 6 times)"\n'
        ),
        ("bob@example.com", "5.4.6"),
    ),
    "an X.400 address": (
        (
            "did not reach the following recipient(s):\n\nc=US;a= ;p=X;dda:SMTP=bob@example.com; on Fri\n"
            "    The recipient name is not recognized\n"
        ),
        ("bob@example.com", "5.1.1"),
    ),
    "brackets": (
        (
            "The following recipient(s) could not be reached:\n\n\tRecipient: [SMTP:bob@example.com]\n"
            "\tReason: Remote SMTP Server Returned: 550 mailbox unavailable.\n\nMessage headers follow:\n"
        ),
        ("bob@example.com", "5.1.1"),
    ),
    "a sentence of one site": (
        (
            "The address to which your message was addressed, bob@example.com, did not exactly match.\n\n"
            "  Bob Example    +1 555 0100    bob.example@example.com\n"
        ),
        ("bob@example.com", "5.1.1"),
    ),
    "another language": (
        "sina.com.\n邮件无法发送到您指定的地址中。\n\n<bob@example.com>:\n\n--- 附件\n",
        ("bob@example.com", "5.0.0"),
    ),
    "JSON": (
        (
            '{"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":"bob@example.com",'
            '"status":"5.1.1"}]},"mail":{"source":"desk@example.net","destination":["bob@example.com"]}}'
        ),
        ("bob@example.com", "5.1.1"),
    ),
    "only the envelope of the returned message": (
        (
            "Your mail cannot be delivered.\n\n---- Header of the source mail ----\n\nReceived: by mx with"
            " SMTP\n\tid 1;\nReceived: from a by b\n\tfor <bob@example.com>; Mon, 3 May 2021 10:00:00 +0200\n"
            "To: The list <list@example.org>\nMessage-ID: <ours.3@example.net>\n"
        ),
        ("bob@example.com", "5.0.0"),
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_reports_that_name_the_recipient_in_an_odd_place(name: str) -> None:
    text, (address, status) = ODD[name]
    report = plain(text)
    assert [(r.address, r.status) for r in report.recipients] == [(address, status)]


def test_a_report_by_a_sender_that_looks_like_a_person_is_read_by_its_words() -> None:
    report = plain(
        "Your message with Subject: Hi\ncould not be delivered to the following recipients:\n\n"
        "bob@example.com\n\nDelivery attempts will continue to be made for 5 day(s).\n",
        sender="gateway@example.org",
        subject="Delivery failure notification",
    )
    assert said(report) == [("bob@example.com", "delayed", "4.0.0", True)]


def test_a_person_whose_parcel_failed_reports_nothing() -> None:
    text = "Hello,\nmy parcel could not be delivered.\nPlease help.\n\nAda\nada@example.org\n"
    assert parse_report(mail(subject="Delivery failed", text=text)) is None


@pytest.mark.parametrize("name", PLAIN)
def test_reports_that_follow_no_standard(name: str) -> None:
    text, expected = PLAIN[name]
    report = plain(text)
    assert [(r.address, r.status, r.temporary) for r in report.recipients] == expected
    if "ours.3" in text:
        assert report.returned_message_id == "ours.3@example.net"


def test_a_delay_is_temporary_and_not_a_failure() -> None:
    report = plain(
        "A message that you sent has not yet been delivered to one or more of its recipients after "
        "more than 24 hours on the queue.\n\nThe address is:\n\n  bob@example.com\n    450 busy\n\n"
        "Delivery attempts will continue for some time.\n",
        subject="Warning: message 1abc delayed 24 hours",
    )
    assert said(report) == [("bob@example.com", "delayed", "4.0.0", True)]


def test_the_header_that_names_failed_recipients_is_believed_before_the_text() -> None:
    report = parse_report(
        mail(
            ("X-Failed-Recipients", "bob@example.com, eve@example.com"),
            text="Sorry, your message to the group was refused: 550 5.7.1 not allowed\n",
        )
    )
    assert report is not None
    assert [r.address for r in report.recipients] == ["bob@example.com", "eve@example.com"]


def test_the_message_returned_is_named_by_what_the_report_cites_at_last() -> None:
    report = parse_report(
        mail(
            sender="postmaster@example.org",
            subject="Undeliverable: Hi",
            text="bob@example.com could not be delivered: 550 5.1.1\n",
            in_reply_to=("ours.4@example.net",),
        )
    )
    assert report is not None
    assert report.returned_message_id == "ours.4@example.net"


def test_a_delay_that_ended_in_failure_is_a_failure() -> None:
    report = plain(
        "Your message has been delayed and could not be delivered. This is a permanent error.\n\n"
        "  bob@example.com\n    550 5.1.1 unknown\n"
    )
    assert said(report) == [("bob@example.com", "failed", "5.1.1", False)]


def test_the_first_sender_is_no_failed_recipient() -> None:
    report = plain("desk@example.net,\n\nyour message to bob@example.com failed: 550 5.1.1 unknown.\n")
    assert [r.address for r in report.recipients] == ["bob@example.com"]


def test_a_person_who_quotes_a_bounce_reports_nothing() -> None:
    quoted = mail(subject="Fwd: failure notice", text=PLAIN["qmail"][0])
    assert parse_report(quoted) is None


def test_a_vacation_notice_reports_nothing() -> None:
    assert parse_report(mail(("Auto-Submitted", "auto-replied"), text="I am away.")) is None


def test_a_report_that_lost_its_parts_is_read_from_the_text() -> None:
    report = plain(
        "This is a MIME-encapsulated message\n\n--b1\nContent-Type: text/plain\n\nSorry.\n\n--b1\n"
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n"
        "Final-Recipient: rfc822; bob@example.com\nAction: failed\nStatus: 5.2.1\n\n--b1\n"
        "Content-Type: message/rfc822\n\nMessage-ID: <ours.2@example.net>\nSubject: Hi\n\nHi\n"
    )
    assert said(report) == [("bob@example.com", "failed", "5.2.1", False)]
    assert report.returned_message_id == "ours.2@example.net"


@pytest.mark.parametrize("names", ["A message sent by", "Unable to deliver a message from", "Sender:"])
def test_whom_the_report_names_as_the_sender_is_no_failed_recipient(names: str) -> None:
    report = plain(
        f"{names}\n\n  <desk+7@example.org>\n\ncould not be delivered to one or more of its recipients.\n"
        "The following address(es) failed:\n\n  bob@example.com\n    550 5.1.1 unknown user\n"
    )
    assert [r.address for r in report.recipients] == ["bob@example.com"]
