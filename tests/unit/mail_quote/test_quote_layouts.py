"""Mails as people lay them out: where new text stands, what is kept in doubt, where signatures begin."""

from pathlib import Path

import pytest

from postroom.mail import quote
from postroom.mail.parse import parse
from tests.unit.mail_quote.reading import CORPUS, layout

LAYOUTS = sorted((CORPUS / "layouts").glob("*.txt"))
OPENINGS = (CORPUS / "openings.txt").read_text("utf-8").split("\n%%\n")
KEPT = (CORPUS / "keep.txt").read_text("utf-8").split("\n%%\n")


@pytest.mark.parametrize("path", LAYOUTS, ids=[path.stem for path in LAYOUTS])
def test_new_text_and_signature_of(path: Path) -> None:
    expected = layout(path)
    reply = quote.split(expected["mail"])
    assert reply.new_text == expected["new"].strip()
    if "signature" in expected:
        assert reply.signature == expected["signature"].strip()


@pytest.mark.parametrize("opening", OPENINGS, ids=[opening.split("\n")[0][:40] for opening in OPENINGS])
def test_original_of_many_programs_is_cut_off(opening: str) -> None:
    reply = quote.split(f"It is open until six.\n\nTim\n\n{opening}")
    assert reply.new_text == "It is open until six.\n\nTim"
    assert reply.quoted == opening.strip()


@pytest.mark.parametrize("text", KEPT, ids=[text.split("\n")[0][:40] for text in KEPT])
def test_in_doubt_the_whole_text_is_new(text: str) -> None:
    assert quote.split(text).new_text == text.strip()


def test_signature_that_ends_the_mail_is_taken_off_and_one_above_the_quote_is_kept() -> None:
    signed = "Fine.\n\n-- \nAnna Berg"
    assert quote.split(signed).new_text == "Fine."
    above = quote.split(f"{signed}\n\nOn 3 Apr 2023, at 12:34, Tom <t@example.com> wrote:\n> Hi")
    assert above.new_text == signed
    assert above.signature == quote.split(signed).signature == "-- \nAnna Berg"


def test_line_ends_of_every_system_are_read_alike() -> None:
    mail = "Fine.\n\nOn 3 Apr 2023, at 12:34, Tom <t@example.com> wrote:\n> Hi\n>\n> Tom"
    for end in ("\n", "\r\n", "\r"):
        assert quote.split(mail.replace("\n", end)).new_text == "Fine."


def test_empty_mail_has_no_parts() -> None:
    for nothing in ("", "\n \n", "\u00a0"):
        assert quote.split(nothing) == quote.Reply("", "", "")
        assert quote.split(nothing, "<html></html>").quoted == ""


def test_quoted_and_new_lines_of_interleaved_mail_are_both_told() -> None:
    reply = quote.split("Tom wrote:\n> a?\nyes\n> b?\nno")
    assert reply.new_text == "> a?\nyes\n> b?\nno"
    assert reply.quoted == "Tom wrote:\n> a?\n\n> b?"


def test_headers_that_nothing_else_marks_are_a_quote_only_in_a_reply_or_forward() -> None:
    pasted = (
        "Is this from you?\n\nFrom: Tom <t@example.com>\nTo: a@example.com\nDate: 3 Apr 2023 12:34\n\nNo!"
    )
    assert quote.split(pasted).new_text == "Is this from you?"
    assert quote.split(pasted, answers=False).new_text == pasted
    marked = pasted.replace("From:", "-----Original Message-----\nFrom:")
    assert quote.split(marked, answers=False).new_text == "Is this from you?"
    of_a_mail = pasted.replace("Date:", "Subject: Plan\nDate:")
    assert quote.split(of_a_mail, answers=False).new_text == "Is this from you?"
    fields = "From: a@example.com\r\nSubject: {}\r\n\r\n"
    for subject, new_text in (
        ("Help", pasted),
        ("Re: Help", "Is this from you?"),
        ("WG: Help", "Is this from you?"),
    ):
        mail = parse((fields.format(subject) + pasted).encode())
        assert quote.of(mail).new_text == new_text
