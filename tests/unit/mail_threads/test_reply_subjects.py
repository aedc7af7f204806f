"""B4: `Re:` once, whatever language said it before; and what people see as the subject."""

import pytest

from postroom.mail.thread import display_subject, reply_subject

REPLIES = [
    "Re: Hours",
    "RE: Re: re: Hours",
    "AW: Hours",
    "AW: Re: SV: Hours",
    "Antw: Hours",
    "Antwort: Hours",
    "SV: Hours",
    "VS: Hours",
    "RES: Hours",
    "R: Hours",
    "RIF: Hours",
    "Rép : Hours",
    "RE : Hours",
    "Odp: Hours",
    "Отв: Hours",
    "Ответ: Hours",
    "ΑΠ: Hours",
    "YNT: Hours",
    "回复: Hours",
    "回复：Hours",
    "答复: Hours",
    "返信: Hours",
    "회신: Hours",
    "رد: Hours",
    "השב: Hours",
    "Re[2]: Hours",
    "Re(3): Hours",
    "Re^2: Hours",
    "Re:Re:Hours",
    "  Re:   Hours ",
    "Hours",
]

KEPT = [
    "Reminder: Hours",
    "Recipe: bread",
    "Response times",
    "Answer: 42",
    "Rest: one week",
    "Sva: a name",
    "Refund: order 17",
    "Ref: 17/2026",
    "FS: bicycle",
    "CT: your scan",
    "Att: Bob",
]


@pytest.mark.parametrize("subject", REPLIES)
def test_b4_re_stands_once(subject: str) -> None:
    assert reply_subject(subject) == "Re: Hours"


@pytest.mark.parametrize("subject", KEPT)
def test_words_that_only_look_like_prefixes_stay(subject: str) -> None:
    assert reply_subject(subject) == f"Re: {subject}"
    assert display_subject(subject) == subject


@pytest.mark.parametrize(
    "subject",
    [
        "Fwd: Hours",
        "FW: Hours",
        "WG: AW: Hours",
        "TR: Hours",
        "RV: Hours",
        "ENC: Hours",
        "VB: Hours",
        "转发: Hours",
        "Re: Fwd: Re: Hours",
    ],
)
def test_the_shown_subject_has_no_prefixes(subject: str) -> None:
    assert display_subject(subject) == "Hours"


def test_a_forward_stays_one_when_answered() -> None:
    assert reply_subject("Re: Fwd: Hours") == "Re: Fwd: Hours"


def test_an_empty_subject() -> None:
    assert reply_subject("") == "Re:"
    assert reply_subject("Re: ") == "Re:"
    assert display_subject("Re:") == ""


def test_a_subject_stays_one_line() -> None:
    assert reply_subject("Hours\r\nBcc: eve@example.com\u2028x\x85y") == "Re: Hours Bcc: eve@example.com x y"
