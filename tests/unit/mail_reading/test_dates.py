"""Dates as programs write them."""

from datetime import datetime

import pytest

from postroom.mail.dates import parse


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("Tue, 4 Mar 2025 10:15:00 +0100", "2025-03-04T10:15:00+01:00"),
        ("Tue, 04 Mar 2025 10:15:00 -0800 (PST)", "2025-03-04T10:15:00-08:00"),
        ("4 Mar 2025 10:15 GMT", "2025-03-04T10:15:00+00:00"),
        ("4 Mar 25 10:15:00 EST", "2025-03-04T10:15:00-05:00"),
        ("4 Mar 99 10:15:00 UT", "1999-03-04T10:15:00+00:00"),
        ("Tue, 4 Mar 2025 10:15:00 -0000", "2025-03-04T10:15:00+00:00"),
        ("Tue, 4 Mar 2025 10:15:00", "2025-03-04T10:15:00+00:00"),
        ("Tue,  4 March 2025 10.15.00 +01:00", "2025-03-04T10:15:00+01:00"),
        ("Tue Mar  4 10:15:00 2025", "2025-03-04T10:15:00+00:00"),
        ("Mar 4, 2025 10:15:00 PM", "2025-03-04T22:15:00+00:00"),
        ("2025-03-04T10:15:00Z", "2025-03-04T10:15:00+00:00"),
        ("2025-03-04 10:15:00.123 +0530", "2025-03-04T10:15:00+05:30"),
        ("04-Mar-2025 10:15:00 +0100", "2025-03-04T10:15:00+01:00"),
        ("Tue, 4 Mar 2025 10:15:60 +0000", "2025-03-04T10:15:59+00:00"),
        ("Tue Mar  4 10:15:03 EDT 2025", "2025-03-04T10:15:03-04:00"),
        ("Tue, 4 Mar 2025 10:15:00 0200", "2025-03-04T10:15:00+02:00"),
        ("Tue Mar  4 10:15:00 1999", "1999-03-04T10:15:00+00:00"),
        ("4 Mar 2025 24:00:00 -0400", "2025-03-04T23:59:59-04:00"),
        ("4 Mar 2025", "2025-03-04T00:00:00+00:00"),
        ("Tue, 4 Mar 2025 10:15:00 +9999", "2025-03-04T10:15:00+23:59"),
    ],
)
def test_dates_are_read(value: str, iso: str) -> None:
    date = parse(value)
    assert date is not None
    assert date.isoformat() == iso
    assert date.tzinfo is not None


@pytest.mark.parametrize(
    "value",
    ["", "Whenever", "Tue, 31 Feb 2025 10:15:00 +0100", "4 Mar 2025 25:15:00", "4 Foo 2025 10:15:00",
     "0 Mar 2025 10:15", "1 Jan 0001 00:00:00 +1400", "31 Dec 9999 23:59:59 -1200", "9" * 100_000],
)  # fmt: skip
def test_what_is_no_date_is_none(value: str) -> None:
    assert parse(value) is None


def test_every_date_exists_in_every_zone() -> None:
    date = parse("31 Dec 9998 23:59:59 -2359")
    assert isinstance(date, datetime)
    assert date.astimezone().year >= 9998
