"""Names of mailboxes: modified UTF-7 both ways, and names that are none of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.imap.errors import ImapInvalidArgument
from postroom.imap.mailbox_names import decode_name, encode_name, has_control_characters


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("INBOX", b"INBOX"),
        ("Inbox", b"INBOX"),
        ("Sent Items", b"Sent Items"),
        ("A&B", b"A&-B"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("😀 ok", b"&2D3eAA- ok"),
        ("ü&ü", b"&APw-&-&APw-"),
    ],
)
def test_names_on_the_wire(name: str, raw: bytes) -> None:
    assert encode_name(name) == raw
    assert decode_name(raw) == ("INBOX" if name.upper() == "INBOX" else name)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_name_survives_the_way_there_and_back(name: str) -> None:
    if has_control_characters(name):
        with pytest.raises(ImapInvalidArgument):
            encode_name(name)
        return
    expected = "INBOX" if name.upper() == "INBOX" else name
    assert decode_name(encode_name(name)) == expected
    assert decode_name(encode_name(name, utf8=True), utf8=True) == expected


@given(st.binary())
def test_no_name_of_a_server_raises(raw: bytes) -> None:
    decode_name(raw)
    decode_name(raw, utf8=True)


@pytest.mark.parametrize("raw", [b"R&D", b"a&!!-b", b"&AB-", b"&2D0-"])
def test_what_is_no_modified_utf7_is_taken_as_it_stands(raw: bytes) -> None:
    assert decode_name(raw) == raw.decode()


def test_raw_eight_bit_names_are_read() -> None:
    assert decode_name("Jörg".encode()) == "Jörg"
    assert decode_name("Jörg".encode("latin-1")) == "Jörg"
