"""Mail that is made to hurt: over the caps it is refused with its envelope, below them it is read in time."""

import base64
import time
from contextlib import suppress

import pytest

from postroom.mail.parse import Caps, OverCaps, parse, parse_headers

HEAD = b"From: ida@example.org\nTo: shop@example.net\nSubject: Hello\nMessage-ID: <one@example.org>\n"


def nested(depth: int) -> bytes:
    levels = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(depth)
    )
    return HEAD + levels + b"\ndeep inside\n"


def many_parts(count: int) -> bytes:
    return HEAD + b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\npart\n" * count


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (nested(101), "too_deep"),
        (many_parts(1_000), "too_many_parts"),
        (HEAD + b"Cc: " + b"a@b.example,\n " * 1_000 + b"c@d.example\n\nx", "too_many_recipients"),
        (HEAD + b"Cc: " + b"(" * 300_000 + b"\n\nx", "too_many_recipients"),
        (HEAD + b"X-Long: " + b"a" * 1_000_000 + b"\n\nx", "headers_too_large"),
        (HEAD + b"X-Many: a\n" * 150_000 + b"\n\nx", "headers_too_large"),
        (
            HEAD + b"Content-Type: multipart/mixed; boundary=x\n\n--x\nA: " + b"a" * 1_000_001 + b"\n\n",
            "headers_too_large",
        ),
    ],
)
def test_over_a_cap_the_envelope_is_left(raw: bytes, reason: str) -> None:
    with pytest.raises(OverCaps) as caught:
        parse(raw)
    assert caught.value.reason == reason
    envelope = caught.value.envelope
    assert (envelope.subject, envelope.message_id) == ("Hello", "one@example.org")
    assert envelope.author is not None
    assert (envelope.text, envelope.html, envelope.attachments) == ("", None, ())


@pytest.mark.parametrize("value", [b"a@b", b"a@b, c@d", b"", b","])
def test_many_fields_of_one_name_are_shown_no_longer_than_one(value: bytes) -> None:
    with pytest.raises(OverCaps) as caught:
        parse(HEAD + (b"Cc: " + value + b"\n") * 20_000 + b"\nx")
    assert caught.value.reason == "too_many_recipients"
    assert len(caught.value.envelope.cc) <= 1_000


def test_at_the_caps_everything_is_read() -> None:
    assert "deep inside" in parse(nested(100)).text
    assert parse(many_parts(999)).text.count("part") == 999
    raw = HEAD + b"Cc: " + b"a@b.example, " * 998 + b"c@d.example\n\nx"
    assert len(parse(raw).cc) == 999


def test_caps_can_be_set() -> None:
    with pytest.raises(OverCaps):
        parse(many_parts(3), Caps(parts=3))


def test_envelope_alone_has_no_text() -> None:
    mail = parse_headers(HEAD + b"\nSecret words\n")
    assert (mail.subject, mail.text, mail.attachments) == ("Hello", "", ())


MULTIPART = HEAD + b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n"
HTML = HEAD + b"Content-Type: text/html\n\n"
ENCODED = HEAD + b"Content-Transfer-Encoding: base64\n"
SLOW = {
    "dashes": MULTIPART + b"--a\n" * 500_000,
    "boundaries that never come": MULTIPART
    + (b"Content-Type: multipart/mixed; boundary=a\n\n--b" + b"\n--ab" * 5_000 + b"\n--x\n") * 900,
    "lines like delimiters": MULTIPART
    + (b"Content-Type: multipart/mixed; boundary=a\n\n" + (b"--" + b" " * 150 + b"\n") * 130 + b"\n--x\n")
    * 900,
    "nested twice over the caps": nested(20_000),
    "parts": many_parts(400_000),
    "fields": HEAD + b"a: b\n" * 180_000 + b"\nx",
    "folds": HEAD + b"X-A: a" + b"\n b" * 250_000 + b"\n\nx",
    "white folds": HEAD + b"X-A: a" + b"\n " * 250_000 + b"\n\nx",
    "no fields": HEAD + b"no field\n" * 90_000 + b"\nx",
    "encoded words": HEAD + b"Subject: " + b"=?utf-8?q?a?= " * 60_000 + b"\n\nx",
    "open words": HEAD + b"Comments: a\nSubject: " + b"=?utf-8?q?" * 90_000 + b"\n\nx",
    "parameters": HEAD + b"Content-Type: text/plain; " + b'a="' * 200_000 + b"\n\nx",
    "comments in a type": HEAD + b"Content-Type: " + b"(" * 900_000 + b"\n\nx",
    "comments in an encoding": HEAD + b"Content-Transfer-Encoding: " + b"()" * 400_000 + b"\n\nx",
    "sections": HEAD + b"Content-Disposition: inline; " + b"a*0*=x;" * 100_000 + b"\n\nx",
    "brackets": HEAD + b"References: " + b"<" * 900_000 + b"\n\nx",
    "brackets and words": HEAD + b"References: " + b"=?x?q?<" * 130_000 + b"\n\nx",
    "ids in words": HEAD + b"References: " + b"<a@b> =?x?q?=3Cc@d=3E?= " * 35_000 + b"\n\nx",
    "ids": HEAD + b"References: " + b"<a@b>" * 150_000 + b"\n\nx",
    "date": HEAD + b"Date: " + b"1 " * 400_000 + b"\n\nx",
    "uu": HEAD + b"\n" + b"begin 644 a\n" * 100_000 + b"end\n",
    "uu name": HEAD + b"\nbegin 644 " + b" " * 300_000 + b"x\n",
    "carriage returns": HEAD + b"X-A: " + b"\r" * 500_000 + b"x\n\n",
    "copies": HEAD + b"Cc: a@b\n" * 70_000 + b"\nx",
    "empty copies": HEAD + b"Cc:,\n" * 190_000 + b"\nx",
    "open brackets": HEAD + b"Cc: " + b"< " * 100_000 + b"\n\n",
    "spaces": HTML + b"<pre>" + b" " * 1_000_000 + b"x",
    "quoted": HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"= " * 1_000_000,
    "equals signs": HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * 2_000_000,
    "padding": ENCODED + b"\n" + b"=" * 1_000_000,
    "tags": HTML + b"<p>a" * 300_000,
    "open tags": HTML + b"<meta " * 300_000,
    "divs": HTML + b"<div hidden>" * 200_000,
    "lists": HTML + b"<ul><li>a" * 60_000,
    "comments": HTML + b"<!--" * 300_000,
    "styles": HTML + b"<style>" + b"/*{" * 200_000 + b"</style>x",
    "attributes": HTML + b'<a "' * 200_000,
    "nul": HEAD + b"\n" + b"\0" * 2_000_000,
    "lines": b"\n" * 2_000_000,
    "large file": ENCODED + b"Content-Type: application/pdf\n\n" + base64.encodebytes(b"x" * 12_000_000),
}


@pytest.mark.parametrize("name", SLOW)
def test_hostile_mail_costs_little(name: str) -> None:
    start = time.thread_time()
    with suppress(OverCaps):
        parse(SLOW[name])
    assert time.thread_time() - start < 5
