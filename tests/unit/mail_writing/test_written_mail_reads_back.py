"""Anything composed parses back equal, by the standard library and by fast_mail_parser.

Three peculiarities of the readers are allowed for, and nothing else. Python 3.11 reads a space between two
encoded words of a display name, against RFC 2047 section 6.2, and shortens white space in one: names are
compared without it there. It also takes quotes and angle brackets off file names. fast_mail_parser reads
the soft line break that ends a quoted-printable message as a line end: a text without HTML and without a
last line end is compared without the latter there.
"""

import re
from dataclasses import replace
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.compose import Draft, OutgoingFile, compose
from postroom.mail.message import Address
from tests.unit.mail_writing.readers import (
    BOTH,
    DESK,
    Read,
    Reader,
    assert_fit_for_the_wire,
    defects,
    draft,
    expected,
    parsed,
    read_by_fast_mail_parser,
    read_by_stdlib,
    written,
)

_line_text = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120)
_names = _line_text.map(lambda name: re.sub(" +", " ", name).strip())
_atoms = st.text("abcdefghijklmnopqrstuvwxyz0123456789+-_.=/!#$%&'*^`{|}~", min_size=1, max_size=40)
_domains = st.sampled_from(["example.org", "mail.example.com", "xn--bcher-kva.example", "[192.0.2.1]"])
_dot_atoms = _atoms.map(lambda text: re.sub(r"\.+", ".", text).strip(".") or "a")
_addresses = st.builds(Address, _names, st.builds("{}@{}".format, _dot_atoms, _domains))
_id_characters = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="<>@?")
_ids = st.builds("{}@{}".format, st.text(_id_characters, min_size=1, max_size=200), _domains)
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=400)
_markdown = st.lists(
    st.sampled_from(["> q", "-- ", "hard  ", " in", "From me", ".", "", "é", "a " * 60, "\t", "x\t"])
).map("\n".join)
_types = st.sampled_from(["application/pdf", "text/csv", "image/png", "text/calendar"])
_file_names = _line_text.map(str.strip).filter(lambda name: name[:1] not in ('"', "<"))
_files = st.builds(OutgoingFile, _file_names, _types, st.binary(max_size=300))


@st.composite
def _drafts(draw: st.DrawFn) -> Draft:
    return draft(
        text=draw(_texts | _markdown),
        html=draw(st.none() | _texts),
        from_=draw(_addresses),
        to=tuple(draw(st.lists(_addresses, max_size=4))),
        cc=tuple(draw(st.lists(_addresses, max_size=2))),
        reply_to=tuple(draw(st.lists(_addresses, max_size=2))),
        subject=draw(_line_text),
        message_id=draw(st.builds("{}@{}".format, _dot_atoms, _domains)),
        in_reply_to=draw(st.none() | _ids),
        references=tuple(draw(st.lists(_ids, max_size=5))),
        attachments=tuple(draw(st.lists(_files, max_size=2))),
    )


@given(_drafts())
def test_anything_composed_reads_back_equal(mail: Draft) -> None:
    raw = compose(mail)
    assert_fit_for_the_wire(raw)
    assert defects(raw) == []
    assert _without_spaces_in_names(read_by_stdlib(raw)) == _without_spaces_in_names(expected(mail))
    assert _as_fast_mail_parser_ends(mail, read_by_fast_mail_parser(raw)) == expected(mail)


both_readers = pytest.mark.parametrize("read", BOTH, ids=["stdlib", "fast_mail_parser"])


@both_readers
@pytest.mark.parametrize(
    "subject",
    [
        "",
        "Re: Where is my parcel?",
        "Re: Grüße aus Köln",
        "Re: Где моя посылка? Прошло уже две недели, а её всё ещё нет, помогите пожалуйста",
        "返信: 会議の日程について",
        "رد: موعد الاجتماع يوم الأحد ١٢:٣٠",
        "תשובה: פגישה ביום שלישי",
        "Party 🎉👨‍👩‍👧‍👦 tonight",
        "two  spaces   and more",
        " led and followed by spaces ",
        "=?utf-8?q?not_an_encoded_word?=",
        "half =?utf-8",
        "100 % = all _ of it?",
        "x" * 2_000,
        "two  spaces  " * 30 + "end",
        "word " * 300 + "end",
        "é" * 1_000,
    ],
)
def test_subject_in_any_script(read: Reader, subject: str) -> None:
    assert read(written(subject=subject)).subject == subject


@both_readers
@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ann",
        "O'Neill, Ann (Sales) <no@address.example>",
        'Ann "the Boss" Example\\',
        "Dr. Ann Example",
        "ann@example.net",
        "Łukasz Żółć",
        "Иван Петров",
        "山田太郎",
        "محمد علي",
        "משה כהן",
        "🎉 Party Bot",
        "Müller, Jörg; Vertrieb und Kundendienst der Firma Beispiel in Musterstadt am Rhein",
        "=?utf-8?q?a?=",
        "Ann Example of the very long department of very long names for tests, section two",
        "Ann of " + "a very long department " * 50 + "here",
    ],
)
def test_display_name_in_any_script(read: Reader, name: str) -> None:
    written_by = Address(name, "sender@example.com")
    answer = read(written(from_=written_by, to=(written_by, DESK), cc=(written_by,), reply_to=(written_by,)))
    assert answer.from_ == written_by
    assert answer.to == (written_by, DESK)
    assert answer.cc == answer.reply_to == (written_by,)


def test_long_names_are_cut_between_their_words() -> None:
    name = "Александра Константинопольская, отдел продаж и обслуживания"
    raw = written(from_=Address(name, DESK.address))
    assert read_by_fast_mail_parser(raw).from_.name == name
    assert re.sub(" +", " ", read_by_stdlib(raw).from_.name) == name


@both_readers
@pytest.mark.parametrize(
    "filename",
    [
        "report.pdf",
        "annual report (final), v2.pdf",
        "résumé.pdf",
        "Отчёт за 2025 год.xlsx",
        "請求書.pdf",
        "تقرير.pdf",
        "🎉" * 60 + ".png",
        'a "quoted"; odd=name%20\\ .txt',
        "=?utf-8?q?x?=.txt",
        "very long name " * 17 + ".txt",
        "",
    ],
)
def test_file_name_in_any_script(read: Reader, filename: str) -> None:
    file = OutgoingFile(filename, "application/pdf", b"%PDF-1.7 \0\r\n\xff")
    assert read(written(attachments=(file,))).files == ((filename, "application/pdf", file.content),)


@pytest.mark.parametrize("filename", ["Счёт.pdf", "🎉.png", "a;b.txt"])
def test_file_name_is_also_given_the_way_old_outlooks_read_it(filename: str) -> None:
    raw = written(attachments=(OutgoingFile(filename, "application/pdf", b"x"),))
    (part,) = parsed(raw).iter_attachments()
    assert str(make_header(decode_header(str(part.get_param("name"))))) == filename


@both_readers
def test_b4_reply_carries_150_character_ids_and_400_references(read: Reader) -> None:
    exchange = "AM0PR04MB" + "x" * 118 + "@eurprd04.prod.outlook.com"
    chain = (*(f"{number}.{'y' * 60}@example.org" for number in range(399)), exchange)
    answer = read(written(in_reply_to=exchange, references=chain))
    assert answer.in_reply_to == exchange
    assert answer.references == chain


@both_readers
@pytest.mark.parametrize(
    "text",
    [
        "",
        "Thank you.",
        "Thank you.\n",
        "\n\nspace above and below\n\n\n",
        "hard break  \nof Markdown\n\n    indented code\n\n- a\n  - b\n",
        "> quoted\n> > twice\n>> twice\n\nanswer\n",
        "Best\n\n-- \nAnn\n",
        "From the start\n.\n..\n.dot\n",
        "tab\tand trailing tab\t\n",
        "= and =20 and =\n",
        "Zażółć gęślą jaźń\n",
        "مرحبا، شكرا لك\n",
        "漢字だけの文章です。" * 200,
        "unbroken" * 131_072,
        "ж" * 500_000,
        "controls \x07\x0b\x0c\x1b\x7f \x85\u2028\u2029 stay\n",
    ],
)
def test_text_and_html_are_what_was_written(read: Reader, text: str) -> None:
    raw = written(text=text, html=text)
    assert_fit_for_the_wire(raw)
    answer = read(raw)
    assert answer.text == text
    assert answer.html == text


@pytest.mark.parametrize(
    "text", ["", "Thank you.", "a  ", "é", "x" * 100, "two\nlines", "two\nlines\n", "ж" * 300]
)
def test_text_alone_keeps_its_end(text: str) -> None:
    raw = written(text=text, html=None)
    assert_fit_for_the_wire(raw)
    assert read_by_stdlib(raw).text == text


def test_what_text_cannot_hold_is_replaced_and_seen() -> None:
    answer = read_by_stdlib(written(text="a\0b\ud800c\rd\r\ne", html="<p>\0\udfff</p>"))
    assert answer.text == "a\ufffdb\ufffdc\nd\ne"
    assert answer.html == "<p>\ufffd\ufffd</p>"


@both_readers
def test_attachments_keep_their_bytes_and_order(read: Reader) -> None:
    files = tuple(
        OutgoingFile(f"{number}.bin", "application/octet-stream", bytes(range(256)) * number)
        for number in range(5)
    )
    answer = read(written(attachments=files))
    assert [content for _, _, content in answer.files] == [file.content for file in files]
    assert answer.text == "Thank you."
    assert answer.html == "<p>Thank you.</p>"


def _without_spaces_in_names(read: Read) -> Read:
    def bare(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        return tuple(replace(each, name="".join(each.name.split())) for each in addresses)

    return replace(
        read, from_=bare((read.from_,))[0], to=bare(read.to), cc=bare(read.cc), reply_to=bare(read.reply_to)
    )


def _as_fast_mail_parser_ends(mail: Draft, read: Read) -> Read:
    alone = mail.html is None and not mail.attachments
    if alone and not mail.text.endswith("\n"):
        return replace(read, text=read.text.removesuffix("\n"))
    return read
