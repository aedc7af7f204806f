"""Nothing that is not one line of text gets into a header, and no error shows the value."""

from typing import Any

import pytest

from postroom.mail.compose import ComposeError, OutgoingFile, one_line, wire_address
from postroom.mail.message import Address
from tests.unit.mail_writing.readers import ANN, DESK, parsed, written

BREAKS = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\x85",
    "\u2028",
    "\u2029",
    "\x0b",
    "\x0c",
    "\t",
    "\x1b",
    "\x7f",
    "\ud800",
]
INJECTED = "secret{}Bcc: victim@example.org"


def _places(value: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every place of a draft that ends in a header: the field the error names, and the change."""
    file = OutgoingFile("a.txt", "text/plain", b"x")
    return {
        "subject": ("Subject", {"subject": value}),
        "from name": ("From", {"from_": Address(value, DESK.address)}),
        "from address": ("From", {"from_": Address("", f"{value}@example.org")}),
        "to name": ("To", {"to": (ANN, Address(value, ANN.address))}),
        "to address": ("To", {"to": (Address("", f"ann@{value}"),)}),
        "cc name": ("Cc", {"cc": (Address(value, ANN.address),)}),
        "cc address": ("Cc", {"cc": (Address("", value),)}),
        "reply-to": ("Reply-To", {"reply_to": (Address(value, ANN.address),)}),
        "message id": ("Message-ID", {"message_id": f"{value}@example.org"}),
        "in-reply-to": ("In-Reply-To", {"in_reply_to": value}),
        "references": ("References", {"references": ("a@b", value)}),
        "header value": ("X-Note", {"headers": (("X-Note", value),)}),
        "header name": ("headers", {"headers": ((value, "x"),)}),
        "file name": ("filename", {"attachments": (file, OutgoingFile(value, "text/plain", b""))}),
        "content type": ("content_type", {"attachments": (OutgoingFile("a", f"text/{value}", b""),)}),
    }


@pytest.mark.parametrize("place", _places(""))
@pytest.mark.parametrize("broken", BREAKS, ids=ascii)
def test_control_characters_are_refused_everywhere(place: str, broken: str) -> None:
    field, change = _places(INJECTED.format(broken))[place]
    with pytest.raises(ComposeError) as caught:
        written(**change)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert "secret" not in str(caught.value)
    assert "victim" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "a@b>, <victim@example.org",
        "a@b, victim@example.org",
        "a b@example.org",
        "Ann <ann@example.org>",
        "a@b;c@d",
        "a(comment)@example.org",
        '"a"b@example.org',
        '"unclosed@example.org',
        "a@example..org",
        "a@-exa mple.org",
        "a@[1.2.3.4",
        "=?utf-8?q?ceo?=@example.org",
        "a@[x]y",
        "a" * 400 + "@example.org",
        "ü@" + "é" * 200 + ".example",
        "a@\u2615\ufe0f.example",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ComposeError) as caught:
        written(to=(Address("Ann", address),))
    assert caught.value.field == "To"
    assert "victim" not in str(caught.value)
    with pytest.raises(ComposeError):
        wire_address("to", address)


@pytest.mark.parametrize(
    "message_id", ["", "no-at", "<a@b>", "a@b> <c@d", "a b@c", "ü@c", "a@b@c", "(@c", "a" * 2_000 + "@b"]
)
def test_what_is_no_message_id_of_ours_is_refused(message_id: str) -> None:
    with pytest.raises(ComposeError, match="Message-ID"):
        written(message_id=message_id)


@pytest.mark.parametrize("name", ["", "X Note", "X-Nöte", "X:", "X" * 200])
def test_what_is_no_field_name_is_refused(name: str) -> None:
    with pytest.raises(ComposeError, match="headers"):
        written(headers=((name, "x"),))


def test_display_name_cannot_pose_as_another_mailbox() -> None:
    raw = written(from_=Address('" <ceo@victim.example>, "', DESK.address))
    (author,) = parsed(raw)["from"].addresses
    assert author.addr_spec == DESK.address


def test_text_of_a_stranger_can_be_made_fit() -> None:
    for broken in BREAKS:
        fit = one_line(f" Re: a{broken}{broken}  Bcc: b ")
        assert fit == "Re: a Bcc: b"
        written(subject=fit)
