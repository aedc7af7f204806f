"""How many robots of other projects' collections are known, and which people are taken for one.

Prints a table (`pytest -s`); the collections lie beside the project and are skipped when they do not.
"""

from collections import Counter
from functools import cache
from hashlib import sha256
from pathlib import Path

from postroom.mail.automatic import Automatic, classify
from postroom.mail.message import Mail
from postroom.mail.parse import parse
from postroom.mail.report import parse_report
from tests.corpora.figures import Figures
from tests.corpora.sets import CORPORA, SETS, mails_of, named, needs_corpora

LABELS = Path(__file__).with_name("sisimai_bounces.tsv")

pytestmark = needs_corpora

# Held back, and rightly so: what the file is, by its own header.
EXPLAINED = {
    "imap_tools/messages/text_with_content_id.eml": "From: ne-pas-repondre@",
    "imap_tools/messages/error_emails/bad_date_header.eml": "Precedence: junk, an advertisement",
    "imap_tools/messages/error_emails/content_transfer_encoding_x_uuencode.eml": "a list's envelope",
    "imap_tools/messages/error_emails/empty_in_reply_to.eml": "List-Id, a mailing list",
    "imap_tools/messages/error_emails/encoding_madness.eml": "From: no-reply@, a shop's notice",
    "imap_tools/messages/mime_emails/raw_email_encoded_stack_level_too_deep.eml": "gmail-noreply@",
    "imap_tools/messages/mime_emails/raw_email_with_mimepart_without_content_type.eml": "a bounce",
    "imap_tools/messages/multipart_report_emails/multi_address_bounce1.eml": "a bounce",
    "imap_tools/messages/multipart_report_emails/multi_address_bounce2.eml": "a bounce",
    "imap_tools/messages/multipart_report_emails/multipart_report_multiple_status.eml": "a bounce",
    "imap_tools/messages/multipart_report_emails/report_422.eml": "a bounce",
    "imap_tools/messages/multipart_report_emails/report_530.eml": "a bounce",
    "imap_tools/messages/plain_emails/raw_email_trailing_dot.eml": "noreply@ of a forge",
    "stalwart/eml/thirdparty/014.eml": "List-Id, a mailing list",
    "enmime/dsn/testdata/delayed_dsn.raw": "a bounce",
    "enmime/dsn/testdata/dsn_with_multipart_alternative.raw": "a bounce",
    "enmime/dsn/testdata/multi_recipient_dsn.raw": "a bounce",
    "enmime/dsn/testdata/simple_dsn.raw": "a bounce",
    "enmime/dsn/testdata/simple_dsn_with_html.raw": "a bounce",
    "enmime/testdata/mail/multipart-wo-boundary.raw": "a bounce",
}


@cache
def read(path: Path) -> Mail:
    return parse(path.read_bytes())


def bounces() -> list[Path]:
    return sorted((CORPORA / "sisimai" / "bsd").glob("*.eml"))


def test_d7_robots_are_recognised(figures: Figures) -> None:
    verdicts = {path.name: classify(read(path)) for path in bounces()}
    missed = [name for name, verdict in verdicts.items() if verdict is None]
    counts = Counter((v.kind, v.reason) for v in verdicts.values() if v is not None)
    for (kind, reason), count in counts.most_common():
        print(f"{count:5} {kind:12} {reason}")
    print(f"missed: {missed}")
    figures.add(
        "sisimai", "recognised as automatic", f"{len(verdicts) - len(missed)} of {len(verdicts)}", "99 %"
    )
    assert len(missed) <= len(verdicts) / 100
    # lhost-sendmail-14 is a bounce that a person forwards: a person wrote it.
    assert set(missed) <= {"lhost-sendmail-14.eml"}


def test_d7_kinds_of_robots_are_told_apart() -> None:
    for path in bounces():
        verdict = classify(read(path))
        if path.name.startswith("arf-"):
            assert verdict is not None
            assert verdict.kind == "complaint", path.name
        elif path.name.startswith("rfc3834-"):
            assert verdict is not None
            assert verdict.kind == "vacation", path.name


def test_d7_no_person_is_taken_for_a_robot(figures: Figures) -> None:
    held: dict[str, Automatic] = {}
    total = 0
    for path in (path for name in SETS if name != "sisimai" for path in mails_of(name)):
        total += 1
        verdict = classify(read(path))
        if verdict is not None:
            held[named(path)] = verdict
    # ruby-mail and imap_tools share files; one explanation is enough for both.
    reasons = {name.rpartition("/")[2]: why for name, why in EXPLAINED.items()}
    for name, verdict in held.items():
        why = reasons.get(name.rpartition("/")[2], "UNEXPLAINED")
        print(f"{verdict.kind:12} {verdict.reason:24} {name}: {why}")
    people = [name for name in held if name.rpartition("/")[2] not in reasons]
    figures.add("the others", "robots among the mails, each explained", f"{len(held)} of {total}", "")
    figures.add("the others", "people held back as robots", str(len(people)), "0")
    assert people == []


def test_d8_bounces_tell_whom_they_are_about_and_whether_it_passes(figures: Figures) -> None:
    wrong: list[str] = []
    rows = [line.split("\t") for line in LABELS.read_text().splitlines() if line[0] != "#"]
    for name, *labels in rows:
        report = parse_report(read(CORPORA / "sisimai" / "bsd" / name))
        found = (
            []
            if report is None
            else [
                f"{sha256(r.address.lower().encode()).hexdigest()[:16]}:{'T' if r.temporary else 'P'}"
                for r in report.recipients
            ]
        )
        if sorted(found) != sorted(labels):
            wrong.append(name)
    print(f"wrong: {wrong}")
    right = f"{len(rows) - len(wrong)} of {len(rows)}"
    figures.add("sisimai", "recipient and permanence right, of those labelled", right, "57 of 60")
    assert len(rows) >= 60
    assert len(wrong) <= len(rows) * 3 / 60


def test_reports_name_the_message_they_return(figures: Figures) -> None:
    """Most do: those whose file still holds an id of the message returned."""
    told = 0
    total = 0
    for path in bounces():
        report = parse_report(read(path))
        if report is None:
            continue
        total += 1
        told += bool(report.returned_message_id)
    figures.add("sisimai", "reports whose returned Message-ID is found", f"{told} of {total}", "88 %")
    assert told >= total * 0.88
