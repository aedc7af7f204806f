"""What stands on the wire: lines, folds, encodings, boundaries, and that it never changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.compose import (
    AUTOMATIC_NOTICE,
    AUTOMATIC_REPLY,
    ComposeError,
    OutgoingFile,
    compose,
    normalise_lines,
)
from postroom.mail.flowed import unflow
from postroom.mail.message import Address
from tests.unit.mail_writing.readers import (
    ANN,
    assert_fit_for_the_wire,
    defects,
    draft,
    field_as_written,
    header,
    parsed,
    written,
)

EXCHANGE_ID = "AM0PR04MB" + "x" * 118 + "@eurprd04.prod.outlook.com"
ODD_ID = "=?utf-8?q?odd?=, (id)\\ with spaces" + "z" * 100 + "@[x]"


def test_message_ids_stand_byte_for_byte_on_one_line_each() -> None:
    raw = written(in_reply_to=EXCHANGE_ID, references=(EXCHANGE_ID, "b@c", ODD_ID))
    lines = raw.split(b"\r\n")
    assert f"In-Reply-To: <{EXCHANGE_ID}>".encode() in lines
    assert f"References: <{EXCHANGE_ID}>".encode() in lines
    assert f" <b@c> <{ODD_ID}>".encode() not in lines
    assert b" <b@c>" in lines
    assert f" <{ODD_ID}>".encode() in lines


def test_ids_that_no_line_can_hold_are_left_out_and_the_rest_kept() -> None:
    raw = written(in_reply_to="ü@x", references=("a@b", "x" * 2_000 + "@y", "漢@c", "d@e", ""))
    assert field_as_written(raw, "References") == b"<a@b> <d@e>"
    assert b"In-Reply-To" not in raw
    assert_fit_for_the_wire(raw)


def test_header_lines_are_folded_at_78() -> None:
    many = tuple(Address(f"Person Number {n}, Sales", f"person.{n}@example.org") for n in range(100))
    raw = written(to=many, subject="Some words of a subject " * 20 + "end", references=("a@b",) * 400)
    assert max(map(len, header(raw).split(b"\r\n"))) <= 78


@pytest.mark.parametrize("text", ["", "é", "漢字", "Re: é" * 40, "a  b " * 60])
def test_no_encoded_word_is_over_75_characters_or_unreadable_alone(text: str) -> None:
    raw = written(subject=text, from_=Address(text.strip(), "a@b.example"))
    words = [word for word in header(raw).split() if word.startswith(b"=?")]
    assert all(len(word) <= 75 for word in words)
    for word in words:
        assert "\ufffd" not in str(parsed(b"Subject: " + word + b"\r\n\r\n")["subject"])


def test_long_field_names_leave_room_for_a_value_in_any_script() -> None:
    name = "X-" + "Long-" * 12
    raw = written(headers=((name, "ж漢🎉é" * 30),))
    assert parsed(raw)[name] == "ж漢🎉é" * 30
    assert_fit_for_the_wire(raw)


def test_only_the_words_that_need_it_are_encoded() -> None:
    raw = written(
        subject="Re: Grüße", from_=Address("Example GmbH für Öle und Fette in Köln am Rhein", "a@b.c")
    )
    assert field_as_written(raw, "Subject").startswith(b"Re: =?utf-8?")
    words = field_as_written(raw, "From").split()
    assert words[:2] == [b"Example", b"GmbH"]
    assert words[-3:] == [b"am", b"Rhein", b"<a@b.c>"]
    assert all(word.startswith(b"=?utf-8?") for word in words[2:-3])


def test_same_draft_gives_the_same_bytes_and_another_draft_another_boundary() -> None:
    one = draft(attachments=(OutgoingFile("a.bin", "application/x-thing", b"abc"),))
    assert compose(one) == compose(replace(one))
    others = (replace(one, text="Other."), replace(one, message_id="p.2@example.com"))
    assert len({parsed(compose(each)).get_boundary() for each in (one, *others)}) == 3


def test_text_that_looks_like_a_boundary_does_no_harm() -> None:
    boundary = parsed(written()).get_boundary()
    raw = written(text=f"--{boundary}\n--{boundary}--\n", html="<p>Thank you.</p>")
    body = parsed(raw).get_body(("plain",))
    assert body is not None
    assert body.get_content() == f"--{boundary}\r\n--{boundary}--\r\n"


def test_blind_copies_have_no_way_into_the_bytes() -> None:
    with pytest.raises(ComposeError, match="headers"):
        written(headers=(("Bcc", "hidden@example.org"),))


@pytest.mark.parametrize(
    "name",
    ["From", "bcc", "Resent-Bcc", "Subject", "Message-ID", "Content-Type", "MIME-Version", "Return-Path"],
)
def test_further_headers_cannot_repeat_what_the_draft_has_a_place_for(name: str) -> None:
    with pytest.raises(ComposeError, match="headers"):
        written(headers=((name, "x"),))


def test_d7_answers_say_that_they_are_automatic() -> None:
    message = parsed(written(headers=AUTOMATIC_REPLY))
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert parsed(written(headers=AUTOMATIC_NOTICE))["Auto-Submitted"] == "auto-generated"
    assert parsed(written())["Auto-Submitted"] is None


@pytest.mark.parametrize(
    "text", ["Thank you.\n", "> quoted\n\nAnswer.\n\n-- \nAnn\n", "long line " * 50 + "end", "", "é\n"]
)
def test_text_is_declared_flowed_when_that_reads_the_same(text: str) -> None:
    assert _plain_type(text) == "flowed"


@pytest.mark.parametrize(
    "text", ["hard  \nbreak", "- a\n  - b", "    code", "From me", "> q ", "x\n ", "--- \nx", ">tight"]
)
def test_text_is_not_declared_flowed_when_that_would_change_it(text: str) -> None:
    assert _plain_type(text) is None


_flow_lines = st.lists(
    st.text(alphabet="> -a", max_size=6) | st.sampled_from(["-- ", "> -- ", "From x", ""]), max_size=6
)


@given(_flow_lines.map("\n".join))
def test_what_is_declared_flowed_reads_the_same_in_flowed_readers(text: str) -> None:
    if _plain_type(text) == "flowed":
        assert unflow(text) == text


def test_short_ascii_text_stays_readable_on_the_wire() -> None:
    raw = written(text="Thank you, Ann.\n\n> quoted\n")
    assert b"\r\n\r\nThank you, Ann.\r\n\r\n> quoted\r\n" in raw
    assert b"base64" not in raw


def test_lines_that_mailbox_files_and_relays_would_change_are_protected() -> None:
    for text in ("From me\n", "trailing \n", "tab\t\n", "From me\n.\nx"):
        lines = written(text=text, html=None).partition(b"\r\n\r\n")[2].split(b"\r\n")
        assert not any(
            line.startswith(b"From ") or line == b"." or line.endswith((b" ", b"\t")) for line in lines
        )


def test_one_megabyte_without_a_line_end_stays_within_998() -> None:
    for text in ("x" * 1_000_000, "é" * 500_000):
        raw = written(
            text=text, html=f"<p>{text}</p>", subject=text[:100_000], from_=Address(text[:9_000], "a@b.c")
        )
        assert_fit_for_the_wire(raw)
        assert defects(raw) == []


def test_mail_is_attached_as_mail_when_its_bytes_can_stay() -> None:
    mail = b"Subject: inner\r\nMessage-ID: <i@x>\r\n\r\n--not a boundary\r\nhello"
    raw = written(attachments=(OutgoingFile("inner.eml", "message/rfc822", mail),))
    (part,) = parsed(raw).iter_attachments()
    assert part.get_content_type() == "message/rfc822"
    assert part.get_content()["subject"] == "inner"
    assert b"\r\n\r\n" + mail + b"\r\n--=_" in raw
    assert defects(raw) == []


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\n\nLF only",
        b"Subject: \xe9\r\n\r\n8 bit",
        b"A: b\r\n\r\n" + b"x" * 999,
        b"A: b\r\n\r\n\0",
    ],
)
def test_mail_that_cannot_travel_as_it_is_becomes_a_plain_file(content: bytes) -> None:
    raw = written(attachments=(OutgoingFile("inner.eml", "message/rfc822", content),))
    (part,) = parsed(raw).iter_attachments()
    assert (part.get_content_type(), part.get_filename()) == ("application/octet-stream", "inner.eml")
    assert part.get_payload(decode=True) == content
    assert_fit_for_the_wire(raw)


@pytest.mark.parametrize(
    ("declared", "written_as"),
    [
        ("application/pdf", "application/pdf"),
        ("Text/CSV; charset=iso-8859-1", "text/csv"),
        ("text/csv; charset=utf-8; charset=utf-16", "text/csv"),
        ("text/calendar; method=REQUEST; name=x", "text/calendar"),
        ("multipart/mixed; boundary=x", "application/octet-stream"),
        ("message/delivery-status", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("pdf", "application/octet-stream"),
        ("a/b/c", "application/octet-stream"),
        ("text/plain; charset", "application/octet-stream"),
        ("text/plain, text/html", "application/octet-stream"),
        ("té/xt", "application/octet-stream"),
        ("x/" + "y" * 300, "application/octet-stream"),
    ],
)
def test_content_type_of_a_file_is_checked(declared: str, written_as: str) -> None:
    raw = written(attachments=(OutgoingFile("f", declared, b"\r\n\0\xff"),))
    (part,) = parsed(raw).iter_attachments()
    assert (part.get_content_type(), part.get_param("name")) == (written_as, "f")
    assert part.get_payload(decode=True) == b"\r\n\0\xff"
    assert defects(raw) == []


def test_parameters_of_a_content_type_are_kept() -> None:
    raw = written(
        attachments=(OutgoingFile("f.csv", 'text/csv; charset="iso-8859-1"; header=present', b"\xe9"),)
    )
    (part,) = parsed(raw).iter_attachments()
    assert part.get_content() == "é"
    assert part.get_param("header") == "present"


@pytest.mark.parametrize(
    ("date", "value"),
    [
        (datetime(2025, 11, 21, 14, 5, 9, tzinfo=UTC), "Fri, 21 Nov 2025 14:05:09 +0000"),
        (
            datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
            "Thu, 02 Jan 2025 03:04:05 -0330",
        ),
        (datetime(1890, 1, 1, tzinfo=timezone(timedelta(seconds=3208))), "Tue, 31 Dec 1889 23:06:32 +0000"),
    ],
)
def test_date_carries_its_offset(date: datetime, value: str) -> None:
    assert field_as_written(written(date=date), "Date") == value.encode()


def test_date_without_a_zone_is_refused() -> None:
    with pytest.raises(ComposeError, match="Date"):
        written(date=datetime(2025, 11, 21))  # noqa: DTZ001 - what is refused


def test_mail_without_a_visible_recipient_has_no_empty_field() -> None:
    raw = written(to=())
    assert b"\r\nTo:" not in raw
    assert defects(raw) == []


@pytest.mark.parametrize(
    ("given", "fit"),
    [
        (b"", b""),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\nb", b"a\r\nb\r\n"),
        (b"a\rb\r", b"a\r\nb\r\n"),
        (b"x\r.\r\nRCPT TO:<evil@example.org>\r\n", b"x\r\n.\r\nRCPT TO:<evil@example.org>\r\n"),
        (b"x\n.\nQUIT\n", b"x\r\n.\r\nQUIT\r\n"),
        (b"x\r\r\n.\r\r\n", b"x\r\n\r\n.\r\n\r\n"),
        (b"a\0b\r\0\n", b"ab\r\n"),
    ],
)
def test_bytes_for_data_have_crlf_only(given: bytes, fit: bytes) -> None:
    assert normalise_lines(given) == fit
    assert normalise_lines(fit) == fit


def test_composed_bytes_need_no_repair() -> None:
    for text in ("Thank you.", "a\n", "é", "漢" * 99):
        for html in (None, "<p>x</p>"):
            raw = written(text=text, html=html, to=(ANN,))
            assert normalise_lines(raw) is raw


def _plain_type(text: str) -> str | None:
    body = parsed(written(text=text)).get_body(("plain",))
    assert body is not None
    value = body.get_param("format")
    assert value is None or isinstance(value, str)
    return value
