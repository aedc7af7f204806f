"""How other projects' replies are taken apart; `pytest -s` prints the tables.

The collections lie beside the project and are skipped when they do not. None of their text stands
here: what a person called the reply is kept as its digest.
"""

import re
from hashlib import sha256

import pytest

from postroom.mail import quote
from postroom.mail.parse import parse
from tests.corpora.figures import Figures
from tests.corpora.sets import CORPORA, needs_corpora

TALON = CORPORA / "talon" / "fixtures"
REPLIES = CORPORA / "github-reply" / "emails"

pytestmark = needs_corpora

# File, length and first 16 digits of the SHA-256 of its new text, each read and found right by a person.
GOLDEN = """
correct_sig.txt 45 5f9baae9efe03939
email_1_1.txt 151 67009836ed402fa4
email_1_2.txt 823 379024333ddfe607
email_1_3.txt 63 935cf09dd496020b
email_1_4.txt 47 d5df5f5ea29dc7b2
email_1_5.txt 423 18d397a40a4fcfd9
email_1_6.txt 72 f82076b7930081c9
email_1_7.txt 4 4069a5e4143991d9
email_1_8.txt 466 035f5faca872f803
email_2_1.txt 20 6877eb4efc86e0cc
email_2_2.txt 40 c56b35a13deeb2a0
email_2_3.txt 40 c56b35a13deeb2a0
email_BlackBerry.txt 21 f00d7af645cdf8a6
email_bullets.txt 117 668b99fbc4c87b7d
email_iPhone.txt 21 f00d7af645cdf8a6
email_long_quote.txt 707763 d70a6c273cc18ad7
email_multi_word_sent_from_my_mobile_device.txt 21 f00d7af645cdf8a6
email_one_is_not_on.txt 104 cc1568514a1d2e4e
email_sent_from_my_not_signature.txt 78 eef4f758069d65e0
email_sig_delimiter_in_middle_of_line.txt 82 058c82f46d29372b
greedy_on.txt 167 a20fd18ab4df6c6e
pathological.txt 97 e81421c2206e4876
"""
HTML_REPLY = "Hi. I am fine. Thanks, Alex"
HTML_MAIL = b"From: a@example.com\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n"


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def split_file(raw: bytes) -> quote.Reply:
    mail = parse(raw)
    return quote.of(mail)


def test_standard_replies_of_twelve_programs(figures: Figures) -> None:
    folder = TALON / "standard_replies"
    wrong = []
    mails = sorted(folder.glob("*.eml"))
    for path in mails:
        told = folder / f"{path.stem}_reply_text"
        expected = told.read_text("utf-8") if told.exists() else "Hello"
        right = squeezed(split_file(path.read_bytes()).new_text) == squeezed(expected)
        print(f"{path.name:24}", "right" if right else "WRONG")
        wrong += [] if right else [path.name]
    figures.add("talon", "new text of standard replies", f"{len(mails) - len(wrong)} of {len(mails)}", "all")
    assert wrong == []


def test_html_replies_of_nine_programs(figures: Figures) -> None:
    wrong = []
    pages = sorted((TALON / "html_replies").glob("*.html"))
    for path in pages:
        reply = split_file(HTML_MAIL + path.read_bytes())
        right = squeezed(reply.new_text) == squeezed(HTML_REPLY)
        print(f"{path.name:24}", "right" if right else "WRONG", repr(reply.quoted[:50]))
        wrong += [] if right and reply.quoted else [path.name]
    figures.add("talon", "HTML replies cut right", f"{len(pages) - len(wrong)} of {len(pages)}", "all")
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "new_text"),
    [("OLK_SRC_BODY_SECTION.html", "Reply"), ("reply-separated-by-hr.html", "Hi there Bob")],
)
def test_originals_below_a_section_or_a_rule(name: str, new_text: str) -> None:
    reply = split_file(HTML_MAIL + (TALON / name).read_bytes())
    assert squeezed(reply.new_text) == squeezed(new_text)


def test_signatures_beside_their_mails(figures: Figures) -> None:
    folder = TALON / "signature" / "emails" / "stripped"
    right = 0
    bodies = sorted(folder.glob("*_body"))
    for path in bodies:
        expected = path.with_name(path.name.replace("_body", "_signature")).read_text("utf-8")
        found = quote.split(path.read_text("utf-8")).signature
        right += squeezed(found) == squeezed(expected)
        print(f"{path.name:24}", "right" if squeezed(found) == squeezed(expected) else "WRONG")
    figures.add("talon", "signatures", f"{right} of {len(bodies)}", "all")
    assert right == len(bodies) == 6


def test_replies_reviewed_by_eye(figures: Figures) -> None:
    golden = {name: (int(size), digest) for name, size, digest in map(str.split, GOLDEN.split("\n")[1:-1])}
    found = {}
    for path in sorted(REPLIES.glob("*.txt")):
        new_text = quote.split(path.read_text("utf-8")).new_text
        found[path.name] = (len(new_text), sha256(new_text.encode()).hexdigest()[:16])
        print(f"{path.name:52} {len(new_text):7}  {new_text[:60]!r}")
    equal = sum(golden.get(name) == figure for name, figure in found.items())
    figures.add("github-reply", "replies as reviewed by eye", f"{equal} of {len(found)}", "all")
    assert found == golden
