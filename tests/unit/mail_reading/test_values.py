"""Parameters, ids, file names, flowed text and invitations."""

import pytest

from postroom.mail import calendar, filename, message_ids, parameters, transfer, uuencode
from postroom.mail.flowed import unflow


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("text/plain; charset=utf-8", "text/plain", {"charset": "utf-8"}),
        ('TEXT/Plain;Charset="UTF-8";;', "text/plain", {"charset": "UTF-8"}),
        ("text/plain charset=utf-8 format=flowed", "text/plain", {"charset": "utf-8", "format": "flowed"}),
        ('a/b; x="q\\"uo;ted"; y=z', "a/b", {"x": 'q"uo;ted', "y": "z"}),
        ('attachment; filename="C:\\dir\\file.txt"', "attachment", {"filename": "C:\\dir\\file.txt"}),
        ('attachment; filename=" my   file.txt "', "attachment", {"filename": "my   file.txt"}),
        ("a/b; n*=utf-8''%E8%B3%87%E3%80%80%0D%0A%E6%96%99", "a/b", {"n": "資\u3000 料"}),
        ("attachment; filename=my file.txt; size=3", "attachment", {"filename": "my file.txt", "size": "3"}),
        ('attachment; filename="open', "attachment", {"filename": "open"}),
        ("a/b; x=1; x=2", "a/b", {"x": "1"}),
        ("a/b; n*=utf-8'en'%C3%BCber", "a/b", {"n": "über"}),
        ("a/b; n*1*=%BC; n*0*=utf-8''%C3; n*2=.txt", "a/b", {"n": "ü.txt"}),
        ("a/b; n=fallback; n*=iso-8859-1''%FC", "a/b", {"n": "ü"}),
        ("a/b; n*=UTF-8'foo-%41", "a/b", {"n": "foo-A"}),
        ("a/b; n*=it's%41", "a/b", {"n": "it'sA"}),
        ("a/b; n*0*=utf-8''part; n*=utf-8''whole; n*1=s", "a/b", {"n": "whole"}),
        ("a/b; n=basic; n*1=foo; n*2=bar", "a/b", {"n": "basic"}),
        ("a/b; n*1=foo; n*2=bar", "a/b", {"n": "foobar"}),
        ("(a (b) \\) c) (d)\ta/b; x=1", "a/b", {"x": "1"}),
        ("(a/b; x=1", "(a/b", {"x": "1"}),
        ("a/b; n*=%FC", "a/b", {"n": "ü"}),
        ("a/b; n==?utf-8?b?w7w=?=", "a/b", {"n": "ü"}),
        ("a/b; =x; y", "a/b", {}),
        ("", "", {}),
    ],
)
def test_parameters_are_read(text: str, value: str, expected: dict[str, str]) -> None:
    found = parameters.parse(text)
    assert (found.value, dict(found.parameters)) == (value, expected)


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"a == b", b"a == b"),
        (b"a==b===c====d", b"a==b===c====d"),
        (b"=43==44", b"C=D"),
        (b"==C3==95", b"=\xc3=\x95"),
        (b"x=\r\ny", b"xy"),
        (b"x= \t\r\ny", b"xy"),
        (b"x=\ry", b"xy"),
        (b"=ZZ =4", b"=ZZ =4"),
        (b"x=", b"x"),
    ],
)
def test_an_equals_sign_that_begins_no_escape_stays(data: bytes, decoded: bytes) -> None:
    assert transfer.decode(data, "quoted-printable") == decoded


@pytest.mark.parametrize(
    "name", ["(8 bit) base64", "base64 (8 bit)", '"base64"', "BASE64;", " (a (b)) base64(c)"]
)
def test_a_transfer_encoding_is_known_among_comments(name: str) -> None:
    assert transfer.name_of(name) == "base64"


@pytest.mark.parametrize(
    ("raw", "identifier"),
    [
        (b" <a@b>\r\n", "a@b"),
        (b" <a b@c>\r\n", "a b@c"),
        (b" <a\r\n b@c>\r\n", "ab@c"),
        (b" <a@b> (added by relay)\r\n", "a@b"),
        (b" a@b\r\n", "a@b"),
        (b" <a@b\r\n", "a@b"),
        (b" <[0=x]$y%z@b>\r\n", "[0=x]$y%z@b"),
        (b" =?utf-8?q?=3Ca=40b=3E?=\r\n", "a@b"),
        (b" <>\r\n", ""),
        (b"\r\n", ""),
        ("<ü@b>".encode(), "ü@b"),
    ],
)
def test_message_ids_are_kept_as_written(raw: bytes, identifier: str) -> None:
    assert message_ids.message_id(raw) == identifier


@pytest.mark.parametrize(
    ("raw", "identifiers"),
    [
        (b"<a@b> <c@d>\r\n\t<a@b>", ("a@b", "c@d")),
        (b"<a@b><c@d>", ("a@b", "c@d")),
        (b"<a@b>,<c@d>", ("a@b", "c@d")),
        (b"a@b c@d", ("a@b", "c@d")),
        (b"<a@b> <c@d", ("a@b", "c@d")),
        (b"<a@b> =?utf-8?q?=3Cc=40d=3E?=\r\n =?utf-8?q?_=3Ce=40?=\r\n =?utf-8?q?f=3E?= <g@h>",
         ("a@b", "c@d", "e@f", "g@h")),
        (b"<=?utf-8?q?a?=@b> =?utf-8?q?no_id?= <c@=?x?q?d?=>", ("=?utf-8?q?a?=@b", "c@=?x?q?d?=")),
        (b"=?utf-8?q?=3Ca=40b=3E?= <c@=?x?q?d?=", ("a@b", "c@=?x?q?d?=")),
        (b"nothing here", ()),
        (b"", ()),
    ],
)  # fmt: skip
def test_references_are_unique_and_in_order(raw: bytes, identifiers: tuple[str, ...]) -> None:
    assert message_ids.references(raw) == identifiers


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("..", ""),
        (".hidden", "hidden"),
        ("inv\u202egpj.exe", "invgpj.exe"),
        ("a\r\nb\0c\u2028d.txt", "a b c d.txt".replace(" c", "c")),
        ('what?"<>|*:.txt', "what_______.txt"),
        ("  spaced   out .txt ", "spaced   out .txt"),
        ("資料\u3000最新.pdf", "資料\u3000最新.pdf"),
        ("Prix\u00a0: 10\u202f€.pdf\u00a0", "Prix\u00a0_ 10\u202f€.pdf"),
        ("a\r\n\tb\x85c.txt", "a b c.txt"),
        ("a.pdf" + " " * 60 + ".exe", "a.pdf    .exe"),
        ("a.pdf" + "\u3000 " * 60 + ".exe", "a.pdf\u3000 \u3000 .exe"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("\ud800.txt", "\ufffd.txt"),
    ],
)
def test_file_names_are_safe(name: str, safe: str) -> None:
    assert filename.safe(name) == safe


@pytest.mark.parametrize(
    ("text", "delsp", "read"),
    [
        ("one \ntwo\nthree", False, "one two\nthree"),
        ("one \ntwo", True, "onetwo"),
        ("> a \n> b\n>> c \nd", False, "> a b\n>> c\nd"),
        (" >not quoted\n  indented", False, ">not quoted\n indented"),
        ("soft \n-- \nIda", False, "soft\n-- \nIda"),
        ("ends soft \n", False, "ends soft \n".replace(" \n", " ")),
        ("", False, ""),
    ],
)
def test_flowed_text_is_joined(text: str, delsp: bool, read: str) -> None:
    assert unflow(text, delsp).rstrip() == read.rstrip()


def test_an_invitation_without_method_takes_that_of_the_part() -> None:
    found = calendar.find("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Tea\r\nDUE:20250101\r\n", "cancel")
    assert found is not None
    assert (found.method, found.summary, found.start, found.end) == ("CANCEL", "Tea", "", "20250101")


def test_what_is_no_invitation_is_none() -> None:
    assert calendar.find("SUMMARY:Tea\n") is None
    assert calendar.find("") is None


def test_a_uuencoded_block_without_its_end_stays_text() -> None:
    data = b"begin 644 a.txt\n#0V%T\n"
    assert uuencode.extract(data) == (data, ())
    text, files = uuencode.extract(b"a\n" + data + b"`\nend\nb\n")
    assert text == b"a\nb\n"
    assert [(file.name, file.content) for file in files] == [(b"a.txt", b"Cat")]


def test_a_uuencoded_block_without_name_and_content_is_text() -> None:
    data = b"begin 644   \nend\n"
    assert uuencode.extract(data) == (data, ())
    assert len(uuencode.extract(b"begin 644   \n#0V%T\n`\nend\n")[1]) == 1
