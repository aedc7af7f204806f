"""Complaints (RFC 5965) and dispositions (RFC 8098) become data like delivery reports."""

from postroom.mail.report import parse_report
from tests.unit.mail_robots.mails import mail, part

RETURNED = "Message-ID: <ours.1@example.net>\nSubject: Hi\n\nHi\n"


def test_a_complaint_names_recipients_and_the_message() -> None:
    report = parse_report(
        mail(
            ("Content-Type", "multipart/report; report-type=feedback-report"),
            attachments=(
                part(
                    "message/feedback-report",
                    "Feedback-Type: abuse\nUser-Agent: Some/1.0\nVersion: 1\n"
                    "Original-Rcpt-To: <bob@example.com>\nOriginal-Rcpt-To: eve@example.com\n",
                ),
                part("message/rfc822", RETURNED),
            ),
        )
    )
    assert report is not None
    assert report.kind == "complaint"
    assert [r.address for r in report.recipients] == ["bob@example.com", "eve@example.com"]
    assert {r.diagnostic for r in report.recipients} == {"abuse"}
    assert not any(r.temporary for r in report.recipients)
    assert report.returned_message_id == "ours.1@example.net"


def test_a_complaint_without_recipients_still_names_the_message() -> None:
    report = parse_report(
        mail(
            subject="complaint about message from 192.0.2.1",
            text="",
            attachments=(part("message/rfc822", RETURNED),),
        )
    )
    assert report is not None
    assert (report.kind, report.recipients) == ("complaint", ())
    assert report.returned_message_id == "ours.1@example.net"


def test_a_disposition_names_reader_what_became_and_the_message() -> None:
    report = parse_report(
        mail(
            ("Content-Type", "multipart/report; report-type=disposition-notification"),
            attachments=(
                part(
                    "message/disposition-notification",
                    "Reporting-UA: pc; Reader\nFinal-Recipient: rfc822;bob@example.com\n"
                    "Original-Message-ID: <ours.2@example.net>\n"
                    "Disposition: manual-action/MDN-sent-manually; displayed\n",
                ),
            ),
        )
    )
    assert report is not None
    assert report.kind == "disposition"
    assert [(r.address, r.action) for r in report.recipients] == [("bob@example.com", "displayed")]
    assert report.returned_message_id == "ours.2@example.net"
