"""What is stored of our own mail is what reading its bytes would say."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from postroom.core.model import Source
from postroom.engine.outgoing import sent_message
from postroom.engine.read import Arrived, read
from postroom.mail.address import normalise
from postroom.mail.compose import Draft, OutgoingFile, compose
from postroom.mail.markdown import body
from postroom.mail.message import Address

NOW = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
SECRET = b"s" * 32
UUENCODED = "Look:\n\nbegin 644 a.txt\n#86)C\n`\nend\n\nbye"
TEXTS = [
    "Thank you for your message.",
    "two\nlines\n",
    "windows\r\nlines\r\n",
    "trailing spaces  \nhard break, and a tab\t\nend",
    "From here on\n From there\n> quoted\n>quoted\n-- \nsignature",
    ".\n..\n.dots",
    "Grüße, 你好, שלום, 👩‍👩‍👧 \N{ZERO WIDTH SPACE}x",
    "x" * 5000,
    "lone \udc80 surrogate and \0 NUL",
    "# Heading\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```",
    "hidden \U000e0041\U000e0042 tags",
    "\ufeffwith a mark",
    UUENCODED,
    "Begin with this: begin 644 is no file",
]


def _draft(text: str, **fields: object) -> Draft:
    content = body(text, "Yours\nThe office")
    values: dict[str, object] = {
        "from_": Address("The office, Köln", "office@postroom.test"),
        "to": (Address("Ada", "ada@example.test"),),
        "cc": (Address("", "bob@example.test"),),
        "subject": "Re: Ärger mit dem Boiler",
        "text": content.text,
        "html": content.html,
        "message_id": "p.1.abc@postroom.test",
        "date": NOW,
        "in_reply_to": "1@example.test",
        "references": ("0@example.test", "1@example.test"),
    }
    return Draft(**{**values, **fields})  # type: ignore[arg-type]  # values of many types


@pytest.mark.parametrize("text", TEXTS)
def test_stored_as_its_bytes_read(text: str) -> None:
    draft = _draft(text)
    raw = compose(draft)
    stored = sent_message("acme", "thr_1", draft, raw, SECRET)
    said = read("acme", Arrived(Source.OURS, raw, NOW, len(raw)), (), SECRET, NOW).message

    # Found in Sent by another Message-ID it is known by this key.
    assert stored.content_key == said.content_key
    assert " ".join(stored.text.split()) == " ".join(said.text.split())
    same = ("message_id", "in_reply_to", "references", "subject", "date", "received_at", "size", "source")
    assert [getattr(stored, name) for name in same] == [getattr(said, name) for name in same]
    for name in ("to", "cc", "reply_to"):
        assert getattr(stored, name) == getattr(said, name)
    assert stored.sender == said.sender
    assert normalise(stored.sender.address if stored.sender else "") == "office@postroom.test"


def test_files_are_found_again_in_the_bytes() -> None:
    file = OutgoingFile("list.csv", "text/csv", b"a,b\n")
    draft = _draft("See the file.", attachments=(file,))
    stored = sent_message("acme", "thr_1", draft, compose(draft), SECRET)
    assert [(item.filename, item.size) for item in stored.attachments] == [("list.csv", 4)]


def test_a_file_written_into_the_text_is_still_one() -> None:
    draft = replace(_draft(UUENCODED), html=None)
    stored = sent_message("acme", "thr_1", draft, compose(draft), SECRET)
    assert [item.filename for item in stored.attachments] == ["a.txt"]
