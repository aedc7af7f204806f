"""The Date field as programs write it (RFC 5322 section 3.3 and its neighbours)."""

import re
from datetime import UTC, datetime, timedelta, timezone

from postroom.mail import charset

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_ZONES = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7,
    "mdt": -6, "pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10, "bst": 1, "ist": 5.5, "cet": 1,
    "cest": 2, "mez": 1, "mesz": 2, "met": 1, "mest": 2, "eet": 2, "eest": 3, "msk": 3, "jst": 9, "kst": 9,
    "hkt": 8, "sgt": 8, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13, "ast": -4, "nst": -3.5, "brt": -3,
}  # fmt: skip
_DAY_FIRST = re.compile(
    r"(?<![\d:])(\d{1,2}),?[\s./-]{1,5}([a-z]{3})[a-z]{0,6}\.?[\s,./-]{1,5}(\d{2,4})(?!\d)"
)
_MONTH_FIRST = re.compile(r"\b([a-z]{3})[a-z]{0,6}\.?\s{1,5}(\d{1,2})(?:st|nd|rd|th)?\b(?!:)")
_ISO = re.compile(r"(?<!\d)(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?!\d)")
_YEAR = re.compile(r"(?<![\d:+-])(\d{4})(?!\d)")
_TIME = re.compile(r"(?<!\d)(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:[.,]\d{1,9})?)?\s{0,3}(am|pm)?(?![\d:])")
_OFFSET = re.compile(r"([+-])\s?(\d{1,2}):?(\d{2})(?!\d)")
_BARE_OFFSET = re.compile(r"\s*(0\d|1[0-4])([0-5]\d)\s*$")
_ZONE_NAME = re.compile(r"\b([a-z]{1,4})\b")
_LONGEST = 200
_LEAP_SECOND = 60
_MOST_MINUTES = 24 * 60 - 1
_FIRST_YEAR, _LAST_YEAR = 2, 9998  # so that the date exists in every zone


def parse(value: str) -> datetime | None:
    """An aware datetime; in UTC where no zone is told. None for what is no date or is impossible."""
    text = value[:_LONGEST]
    text = (charset.decode_header(text) if "=?" in text else text).lower()
    time = _TIME.search(text)
    day = _day(text)
    if day is None:
        return None
    try:
        date = datetime(*day, *_clock(time), tzinfo=_zone(text[time.end() :] if time else ""))
    except ValueError:
        return None
    return date if _FIRST_YEAR <= date.year <= _LAST_YEAR else None


def _day(text: str) -> tuple[int, int, int] | None:
    for match in _DAY_FIRST.finditer(text):
        if month := _MONTHS.get(match[2]):  # else the seconds, the zone and the year of `date`
            return _year(match[3]), month, int(match[1])
    if iso := _ISO.search(text):
        return int(iso[1]), int(iso[2]), int(iso[3])
    for match in _MONTH_FIRST.finditer(text):
        year = _YEAR.search(text, match.end())
        if match[1] in _MONTHS and year:
            return int(year[1]), _MONTHS[match[1]], int(match[2])
    return None


def _year(digits: str) -> int:
    """Two- and three-digit years as RFC 5322 section 4.3 reads them."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(digits) == 3 else year


def _clock(time: re.Match[str] | None) -> tuple[int, int, int]:
    if time is None:
        return 0, 0, 0
    hour = int(time[1])
    if time[4]:
        hour = hour % 12 + (12 if time[4] == "pm" else 0)
    if (hour, int(time[2])) == (24, 0):
        return 23, 59, 59
    second = int(time[3] or 0)
    return hour, int(time[2]), 59 if second == _LEAP_SECOND else second


def _zone(text: str) -> timezone:
    """The zone after the time: an offset, else a known name, else UTC (also for `-0000`)."""
    if match := _OFFSET.search(text):
        minutes = min(int(match[2]) * 60 + int(match[3]), _MOST_MINUTES)
        return _shifted(-minutes if match[1] == "-" else minutes)
    if match := _BARE_OFFSET.match(text):
        return _shifted(int(match[1]) * 60 + int(match[2]))
    for match in _ZONE_NAME.finditer(text):
        if match[1] in _ZONES:
            return _shifted(int(_ZONES[match[1]] * 60))
    return UTC


def _shifted(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes)) if minutes else UTC
