"""SEARCH: the criteria of RFC 9051 section 6.4.4 that mail programs use."""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime

from postroom.sandbox.imap_fetch import header_fields
from postroom.sandbox.imap_view import View
from postroom.sandbox.mailboxes import StoredMail

Test = Callable[[StoredMail], bool]

_SET = re.compile(r"[\d*][\d*:,]*")
_FLAGS = ("ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN")
_HEADERS = ("FROM", "TO", "CC", "SUBJECT")


def found(view: View, words: list[str], *, by_uid: bool) -> list[int]:
    """UIDs or sequence numbers of the messages that meet every criterion. Raises `ValueError`."""
    rest = iter(words)
    tests = list(_tests(rest, view))
    return [
        mail.uid if by_uid else number
        for number, mail in view.numbered()
        if all(test(mail) for test in tests)
    ]


def _tests(rest: Iterator[str], view: View) -> Iterator[Test]:
    for word in rest:
        yield _test(word.upper(), rest, view)


def _test(word: str, rest: Iterator[str], view: View) -> Test:
    if word == "CHARSET":
        next(rest)
        return _always
    if word == "ALL":
        return _always
    if word == "NOT":
        inner = _test(next(rest).upper(), rest, view)
        return lambda mail: not inner(mail)
    if word in _FLAGS:
        return _flagged(word)
    if word.startswith("UN") and word[2:] in _FLAGS:
        flagged = _flagged(word[2:])
        return lambda mail: not flagged(mail)
    if word in ("SINCE", "BEFORE", "ON"):
        return _dated(word, next(rest))
    if word in _HEADERS:
        return _with_header(word, next(rest))
    if word == "HEADER":
        return _with_header(next(rest), next(rest))
    return _of_set(word, rest, view)


def _of_set(word: str, rest: Iterator[str], view: View) -> Test:
    ranges = next(rest) if word == "UID" else word
    if not _SET.fullmatch(ranges):
        raise ValueError("this criterion is not known here")
    uids = {mail.uid for _, mail in view.chosen(ranges, by_uid=word == "UID")}
    return lambda mail: mail.uid in uids


def _always(mail: StoredMail) -> bool:
    del mail
    return True


def _flagged(word: str) -> Test:
    flag = f"\\{word.capitalize()}"
    return lambda mail: flag in mail.flags


def _dated(word: str, text: str) -> Test:
    day = datetime.strptime(text, "%d-%b-%Y").date()  # noqa: DTZ007 - a day has no zone

    def received(mail: StoredMail) -> date:
        return mail.received_at.date()

    tests: dict[str, Test] = {
        "SINCE": lambda mail: received(mail) >= day,
        "BEFORE": lambda mail: received(mail) < day,
        "ON": lambda mail: received(mail) == day,
    }
    return tests[word]


def _with_header(name: str, part: str) -> Test:
    wanted_name, wanted_part = name.lower().encode(), part.lower().encode()

    def test(mail: StoredMail) -> bool:
        pairs = (field.partition(b":") for field in header_fields(mail.raw.partition(b"\r\n\r\n")[0]))
        return any(
            key.strip().lower() == wanted_name and wanted_part in value.replace(b"\r\n", b"").lower()
            for key, _, value in pairs
        )

    return test
