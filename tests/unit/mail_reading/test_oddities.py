"""Each mail of tests/corpus/reading shows one thing that programs do, and what a reader must see of it."""

from pathlib import Path

import pytest

from postroom.mail.message import Mail
from postroom.mail.parse import parse

CORPUS = Path(__file__).parents[2] / "corpus" / "reading"
TEXTS = {
    "charset-latin1-label-windows-bytes": "It’s “ready” – 20 €.",
    "charset-latin1-label-utf8-bytes": "Grüße aus Köln: schöne Öfen.",
    "charset-gb2312-label-gb18030-bytes": "朱镕基先生,您好。",
    "charset-utf8-unlabelled": "Žluťoučký kůň",
    "charset-japanese-jis": "お世話になっております。ｶﾅ",
    "charset-shift-jis-with-nec-signs": "①番目の質問です。",
    "charset-korean-by-number": "안녕하세요 똠방각하",
    "charset-big5-hongkong": "你好,嘅咗喺",
    "charset-big5-unlabelled": "您好,感謝您的來信。我們已經收到您的訂單,將儘快為您處理。",
    "charset-utf7": "Hi Mom ☺!",
    "charset-unknown-label": "Crème brûlée",
    "charset-utf16-without-mark": "Hello wide world",
    "charset-nul-and-lone-surrogate": "onetwo \ufffd\ufffd\ufffd three",
    "charset-html-names-its-own": "Добрый день",
    "file-uuencoded-in-text": "Here it is:\n\n\nbegin the day well\nend",
    "html-and-picture": "Plain words",
    "html-hidden-text": "When do you open?",
    "html-only": "Dear shop,\n\nplease see [the list](https://example.org/a_b):\n\n- red\n- blue\n\n"
    "| Item | Pieces |\n| ---- | ------ |\n| Cup  | 2      |\n\nThanks\nIda",
    "text-base64-in-name-only": "This was never encoded, whatever the header says about it.\n"
    "It has words and full stops.",
    "text-base64-in-name-only-short": "Thanks a lot!",
    "text-quoted-printable-broken": "Café =ZZ costs 3 euros, 100%",
    "text-flowed": "This paragraph was wrapped by the program that sent it and is one line.\n\n"
    ">> It was quoted twice.\n> And once.\nFrom here on.\n-- \nIda",
    "text-flowed-delsp": "この行は一つです。",
    "text-in-two-parts": "Before the picture.\nAfter the picture.",
    "text-mixed-meant-as-alternative": "Your parcel 4711 is on its way to you today.",
    "text-html-with-plain-footer": "The meeting moved to Thursday.\n"
    "_____\nList information: https://lists.example.org/",
    "parts-never-closed": "See the file.",
    "parts-boundary-not-told": "See the file.",
    "parts-boundary-told-wrong": "See the file.",
    "parts-inner-boundary-told-wrong": "See the file.",
    "parts-closed-behind-the-last-word": "See the file.",
    "parts-last-delimiter-closes-nothing": "See the file.",
    "header-address-wrapped-before-the-text": "See below.",
    "parts-boundary-is-a-prefix": "Plain",
    "parts-same-boundary-inside": "Plain",
    "parts-none-at-all": "This is a message of many parts.\nOnly text, no part begins.",
    "parts-without-headers": "First\nSecond, with no empty line",
    "parts-signed": "Signed words",
    "ends-cr-only": "See the file.",
    "ends-lf-only": "See the file.",
    "ends-mixed": "See the file.",
    "start-mbox-line": "Hello",
    "start-mark-and-empty-lines": "Hello",
    "header-first-line-indented": "Hello",
    "no-header-at-all": "Just some words\nand some more.",
    "empty-body": "",
    "empty-file": "",
}
SUBJECTS = {
    "charset-japanese-jis": "注文について",
    "header-raw-bytes-in-the-body-charset": "Вопрос о заказе",
    "header-character-cut-between-words": "für Bücher – 本",
    "header-encoded-word-without-padding": "Grüßeaus Bonn, 5 = 5",
    "header-encoded-word-cut-off": "Grüße aus Bon",
    "header-encoded-with-raw-spaces": "Grüße an alle today",
    "header-doubled": "The first",
    "header-line-separators": "one two three",
    "header-first-line-indented": "A question about the order",
    "start-mbox-line": "A question about the order",
    "start-mark-and-empty-lines": "A question about the order",
    "ends-cr-only": "A question about the order",
    "empty-body": "A question about the order",
}
FILES = {
    "file-name-continued": [("Angebot für Müller.pdf", b"Hello")],
    "file-name-in-encoded-words": [("見積書.pdf", b"Hello")],
    "file-name-raw-bytes": [("Übersicht.pdf", b"Hello")],
    "file-name-unquoted": [("Offer for you.pdf", b"Hello")],
    "file-name-missing": [("attachment-1.png", b"Hello"), ("attachment-2.bin", b"Hello")],
    "file-name-with-path-and-override": [("invoicegpj.exe", b"Hello"), ("attachment-2.bin", b"Hello")],
    "file-uuencoded-in-text": [("résumé.txt", b"Hello from the past.")],
    "file-tnef": [("winmail.dat", b"Hello")],
    "file-base64-broken": [("a.bin", b"Hello world"), ("b.bin", b"Hello world")],
    "html-and-picture": [("p.gif", b"GIF89a")],
    "text-in-two-parts": [("p.png", b"Hello")],
    "parts-never-closed": [("a.pdf", b"Hello")],
    "parts-boundary-not-told": [("a.pdf", b"Hello")],
    "parts-boundary-told-wrong": [("a.pdf", b"Hello")],
    "parts-inner-boundary-told-wrong": [("a.pdf", b"Hello")],
    "parts-closed-behind-the-last-word": [("a.csv", b"1;2")],
    "parts-last-delimiter-closes-nothing": [("a.pdf", b"Hello")],
    "parts-boundary-is-a-prefix": [("a.pdf", b"%PDF")],
    "parts-same-boundary-inside": [("a.pdf", b"%PDF")],
    "parts-signed": [("smime.p7s", b"Hello")],
    "ends-cr-only": [("a.pdf", b"Hello")],
    "ends-lf-only": [("a.pdf", b"Hello")],
    "ends-mixed": [("a.pdf", b"Hello")],
}
NOTES = {
    "charset-latin1-label-utf8-bytes": "charset_repaired",
    "charset-big5-unlabelled": "charset_repaired",
    "file-tnef": "tnef",
    "file-uuencoded-in-text": "uuencode",
    "from-two-fields": "duplicate_header",
    "header-doubled": "duplicate_header",
    "header-wrapped-without-indent": "damaged_headers",
    "html-hidden-text": "hidden_text",
}


def read(name: str) -> Mail:
    return parse((CORPUS / f"{name}.eml").read_bytes())


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_what_was_written(name: str) -> None:
    assert read(name).text.strip() == TEXTS[name]


@pytest.mark.parametrize("name", SUBJECTS)
def test_subject_is_what_was_written(name: str) -> None:
    assert read(name).subject == SUBJECTS[name]


@pytest.mark.parametrize("name", FILES)
def test_files_have_their_names_and_bytes(name: str) -> None:
    files = read(name).attachments
    assert [(file.filename, file.content) for file in files] == FILES[name]
    assert [file.index for file in files] == list(range(len(files)))


@pytest.mark.parametrize("name", NOTES)
def test_a_repair_is_noted(name: str) -> None:
    assert NOTES[name] in read(name).notes


def test_an_ordinary_mail_has_no_notes() -> None:
    assert read("parts-signed").notes == ()


@pytest.mark.parametrize("name", sorted(path.stem for path in CORPUS.glob("*.eml")))
def test_sender_is_known_unless_in_doubt(name: str) -> None:
    mail = read(name)
    in_doubt = name.startswith("from-") or name in {"empty-file", "no-header-at-all"}
    assert (mail.author is None) == in_doubt
    assert mail.author is None or mail.author.address == "ida@example.org"


def test_a_sender_in_doubt_is_shown_all_the_same() -> None:
    shown = read("from-address-inside-the-name").from_
    assert shown is not None
    assert (shown.name, shown.address) == ("ceo@victim.example", "eve@example.com")


def test_recipients_of_doubled_fields_and_of_lines_without_indent_are_all_read() -> None:
    assert [box.address for box in read("header-doubled").cc] == ["c1@example.net", "c2@example.net"]
    to = read("header-wrapped-without-indent").to
    assert [box.address for box in to] == ["shop@example.net", "second@example.net"]


def test_inline_picture_keeps_its_content_id() -> None:
    mail = read("html-and-picture")
    assert [(file.content_id, file.disposition) for file in mail.attachments] == [
        ("pic@example.org", "inline")
    ]
    assert mail.html is not None
    assert "cid:pic@example.org" in mail.html


def test_nested_message_is_a_file_named_after_its_subject() -> None:
    (file,) = read("file-nested-message").attachments
    assert (file.filename, file.content_type) == ("Frühstück.eml", "message/rfc822")
    inner = parse(file.content)
    assert (inner.subject, inner.text.strip()) == ("Frühstück", "Inner text")


def test_invitation_is_read_and_kept_as_a_file() -> None:
    mail = read("calendar-invitation")
    assert mail.calendar is not None
    assert mail.calendar.method == "REQUEST"
    assert mail.calendar.summary == "Tasting, with a very long name that is folded here; bring cups"
    assert mail.calendar.start == "Berlin:20250410T090000"
    assert mail.calendar.end == "Berlin:20250410T100000"
    assert [file.content_type for file in mail.attachments] == ["text/calendar"]


def test_b4_long_ids_survive_byte_for_byte() -> None:
    mail = read("ids-long-and-folded")
    assert len(mail.message_id) > 150
    assert mail.message_id.startswith("DB7PR04MB4521AAAA")
    assert len(mail.in_reply_to) == 1
    assert mail.references[:2] == ("first@example.org", "second@example.org")
    assert mail.references[2] == mail.in_reply_to[0]


def test_file_whose_type_cannot_be_read_is_no_text() -> None:
    (file,) = read("parts-last-delimiter-closes-nothing").attachments
    assert file.content_type == "application/octet-stream"


def test_b4_several_references_fields_and_a_wrapped_recipient_are_all_read() -> None:
    mail = read("header-address-wrapped-before-the-text")
    assert mail.references == ("first@example.org", "second@example.org")
    assert [box.address for box in mail.cc] == ["bo@example.org"]


def test_b4_ids_in_free_text_and_without_brackets_are_found() -> None:
    mail = read("ids-in-free-text")
    assert mail.message_id == "bare.id@example.org"
    assert mail.in_reply_to == ("earlier@example.org",)
    assert mail.references == ("a@example.org", "b@example.org")


def test_impossible_date_is_none() -> None:
    assert read("date-impossible").date is None


def test_a_space_before_the_first_colon_makes_no_mbox_line() -> None:
    mail = parse(b"From : Ida Berg <ida@example.org>\nSubject: Hi\n\nBody")
    assert mail.author is not None
    assert (mail.author.address, mail.subject, mail.text) == ("ida@example.org", "Hi", "Body")


@pytest.mark.parametrize(
    ("written", "content_type"),
    [
        ('=?windows-1252?q?application/pdf; name="lines.pdf"', "application/pdf"),
        ("=?utf-8?q?application/pdf=3B_name=3Dlines.pdf?=; name=lines.pdf", "application/pdf"),
        ("(as it should be) application/pdf; name=lines.pdf", "application/pdf"),
    ],
)
def test_a_type_is_known_behind_a_comment_and_in_an_encoded_word(written: str, content_type: str) -> None:
    (file,) = parse(f"Subject: Hi\nContent-Type: {written}\n\n%PDF".encode()).attachments
    assert (file.content_type, file.filename) == (content_type, "lines.pdf")


@pytest.mark.parametrize(
    ("value", "line", "names"),
    [
        ("a@b.c", "Some junk line", [""]),
        ("Ida <a@b.c>", "Some junk line", ["Ida"]),
        ("a@b.c,", "Ida <d@e.f>", ["", "Ida"]),
        ("a@b.c,", "Ida Berg\n <d@e.f>", ["", "Ida Berg"]),
        ('d@e.f, "Ida', 'Berg" <a@b.c>', ["", "Ida Berg"]),
        ("d@e.f (Ida", "Berg)", ["Ida Berg"]),
        ("d@e.f", "Ida <a@b.c>", ["d@e.f Ida"]),
    ],
)
def test_a_line_foreign_to_addresses_is_no_part_of_them(value: str, line: str, names: list[str]) -> None:
    mail = parse(f"From: i@e.org\nTo: {value}\n{line}\nSubject: Hi\n\nBody".encode())
    assert [box.name for box in mail.to] == names
    assert (mail.subject, mail.notes) == ("Hi", ("damaged_headers",))


@pytest.mark.parametrize(
    ("line", "is_known"),
    [("Some junk line", True), (".example.net", False), (", root", False)],
)
def test_d5_a_line_behind_the_author_that_is_not_words_leaves_it_in_doubt(line: str, is_known: bool) -> None:
    mail = parse(f"From: ida@example.org\n{line}\nSubject: Hi\n\nBody".encode())
    assert (mail.author is not None, mail.subject) == (is_known, "Hi")


def test_raw_names_are_read_in_the_charset_that_another_part_tells() -> None:
    name = "報價單.pdf".encode("big5")
    raw = (
        b"Subject: " + "報價".encode("big5") + b"\nContent-Type: multipart/mixed; boundary=x\n\n"
        b"--x\nContent-Type: text/plain; charset=big5\n\nHi\n"
        b'--x\nContent-Type: application/pdf; name="' + name + b'"\n\n%PDF\n--x--\n'
    )
    mail = parse(raw)
    assert (mail.subject, mail.attachments[0].filename) == ("報價", "報價單.pdf")


@pytest.mark.parametrize(
    ("content_type", "note"),
    [
        ("application/pkcs7-mime; smime-type=enveloped-data", "encrypted"),
        ("application/pkcs7-mime; smime-type=signed-data", "signed_inside"),
        ("multipart/encrypted; boundary=x", "encrypted"),
    ],
)
def test_content_for_other_programs_is_noted(content_type: str, note: str) -> None:
    raw = f"Subject: Hi\nContent-Type: {content_type}\n\n--x\n\nabc\n--x--\n".encode()
    assert note in parse(raw).notes


def test_doubled_carriage_returns_are_one_line_end() -> None:
    assert parse(b"Subject: Hi\r\r\n\r\r\none\r\r\ntwo\r\r\n").text == "one\ntwo\n"
