"""Which parts are the text of a message, and which are files beside it."""

import pytest

from postroom.mail.parse import parse

PLAIN = "Content-Type: text/plain\n\nplain"
HTML = "Content-Type: text/html\n\n<p>html</p>"
NAMED_PLAIN = 'Content-Type: text/plain; name="a.txt"\n\nnamed plain'
NAMED_HTML = 'Content-Type: text/html; name="a.html"\n\n<p>named html</p>'
ATTACHED_HTML = NAMED_HTML.replace("\n\n", '\nContent-Disposition: attachment; filename="a.html"\n\n')
PICTURE = "Content-Type: image/png; name=p.png\nContent-ID: <picture@t>\n\nx"
ROOT = "Content-Type: text/html\nContent-ID: <root@t>\n\n<p>root</p>"
ALTERNATIVE = f"Content-Type: multipart/alternative; boundary=in\n\n--in\n{PLAIN}\n--in\n{HTML}\n--in--"
NESTED = "Content-Type: message/rfc822\n\nSubject: inner\n\nwords"


def read(subtype: str, *parts: str) -> tuple[str, str, list[str]]:
    """Text, HTML and the names of the files of a message of these parts."""
    head = f"Subject: Hello\nContent-Type: multipart/{subtype}; boundary=out\n\n"
    raw = head + "".join(f"--out\n{part}\n" for part in parts) + "--out--\n"
    mail = parse(raw.encode())
    return mail.text.strip(), (mail.html or "").strip(), [file.filename for file in mail.attachments]


@pytest.mark.parametrize(
    ("parameters", "parts", "text", "files"),
    [
        ("", (HTML, PICTURE), "html", ["p.png"]),
        ("; start=<root@t>", (PICTURE, ROOT), "root", ["p.png"]),
        ("; start=root@t", (HTML, ROOT), "root", ["attachment-1.html"]),
        ('; start="<gone@t>"', (HTML, ROOT), "html", ["attachment-1.html"]),
        ('; start="<picture@t>"', (ROOT, PICTURE), "root", ["p.png"]),
        ("", (PICTURE, ROOT), "root", ["p.png"]),
        ("", (PICTURE, ATTACHED_HTML, NAMED_PLAIN, PLAIN, HTML), "plain",
         ["p.png", "a.html", "a.txt", "attachment-4.html"]),
        ("", (NESTED, PLAIN), "plain", ["inner.eml"]),
        ("", (PICTURE, ALTERNATIVE), "plain", ["p.png"]),
        ("", (PICTURE, NAMED_HTML), "", ["p.png", "a.html"]),
    ],
)  # fmt: skip
def test_the_root_of_related_parts_is_the_text(
    parameters: str, parts: tuple[str, ...], text: str, files: list[str]
) -> None:
    found, _, names = read(f"related{parameters}", *parts)
    assert (found, names) == (text, files)


@pytest.mark.parametrize(
    ("parts", "text", "html", "files"),
    [
        ((PLAIN, NAMED_HTML), "plain", "<p>named html</p>", []),
        ((NAMED_PLAIN, NAMED_HTML), "named plain", "<p>named html</p>", []),
        ((NAMED_HTML, NAMED_PLAIN), "named plain", "<p>named html</p>", []),
        ((PLAIN, ATTACHED_HTML), "plain", "", ["a.html"]),
        ((PLAIN, HTML, NAMED_PLAIN), "plain", "<p>html</p>", ["a.txt"]),
        ((PLAIN, PICTURE), "plain", "", ["p.png"]),
    ],
)
def test_an_alternative_with_a_name_is_no_file(
    parts: tuple[str, ...], text: str, html: str, files: list[str]
) -> None:
    assert read("alternative", *parts) == (text, html, files)


def test_text_with_a_name_after_other_text_is_a_file() -> None:
    assert read("mixed", PLAIN, NAMED_PLAIN, NAMED_HTML) == ("plain", "", ["a.txt", "a.html"])
