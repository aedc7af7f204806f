"""D7, D8: reports as mail systems and providers write them, each read from bytes to its recipients."""

from pathlib import Path

import pytest

from postroom.mail.automatic import classify
from postroom.mail.parse import parse
from postroom.mail.report import parse_report

CORPUS = Path(__file__).parents[2] / "corpus" / "robots"
ROWS = [
    line.split("\t") for line in (CORPUS / "reports.tsv").read_text("utf-8").splitlines() if line[0] != "#"
]


def test_every_report_stands_in_the_table() -> None:
    assert {row[0] for row in ROWS} == {file.stem for file in (CORPUS / "reports").iterdir()}


@pytest.mark.parametrize(("name", "kind", "returned", "recipients"), [(*row[:3], row[3:]) for row in ROWS])
def test_a_report_is_told_and_read(name: str, kind: str, returned: str, recipients: list[str]) -> None:
    mail = parse((CORPUS / "reports" / f"{name}.eml").read_bytes())
    verdict, report = classify(mail), parse_report(mail)
    assert verdict is not None
    assert verdict.kind == kind
    if report is None:
        assert recipients == []
        return
    lasts = {True: "T", False: "P"} if kind == "report" else {False: "-"}
    assert [f"{one.address} {lasts[one.temporary]}" for one in report.recipients] == recipients
    assert (report.returned_message_id or "-") == returned
