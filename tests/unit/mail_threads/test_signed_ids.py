"""D3, D7: ids and the hop header that we wrote are known as ours, and nobody else can write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.message import Headers, Mail
from postroom.mail.thread import (
    HOP_HEADER,
    has_own_hop,
    hop_value,
    make_message_id,
    signed_by_us,
)

SECRET = b"0123456789abcdef0123456789abcdef"
atoms = st.text(alphabet="abcXYZ019-._", min_size=1, max_size=30).filter(
    lambda text: not text.startswith(".") and not text.endswith(".") and ".." not in text
)


def carrying(*fields: tuple[str, str]) -> Mail:
    return Mail(
        headers=Headers(fields),
        message_id="m@x",
        in_reply_to=(),
        references=(),
        subject="",
        author=None,
        from_=None,
        reply_to=(),
        to=(),
        cc=(),
        date=None,
        text="",
        html=None,
    )


@given(unique=atoms, thread=st.text(max_size=40), domain=atoms)
def test_d3_what_we_sign_we_know(unique: str, thread: str, domain: str) -> None:
    written = make_message_id(SECRET, thread, unique, domain)
    assert signed_by_us(SECRET, written, thread)
    assert signed_by_us(SECRET, f"<{written}>", thread)
    assert not signed_by_us(SECRET, written, thread + "x")
    assert not signed_by_us(b"another secret", written, thread)


@pytest.mark.parametrize(
    "change",
    [
        lambda id_: id_.replace("p.u1", "p.u2"),
        lambda id_: id_.replace("example.net", "example.org"),
        lambda id_: id_.replace("p.", "q.", 1),
        lambda id_: "x" + id_,
        lambda id_: id_ + ".evil.example",
        lambda _: "p.u1@example.net",
        lambda _: "",
    ],
)
def test_d3_a_changed_id_is_not_ours(change: object) -> None:
    assert callable(change)
    written = make_message_id(SECRET, "thread-1", "u1", "example.net")
    assert not signed_by_us(SECRET, change(written), "thread-1")


def test_a_signed_id_is_short_and_reads_as_a_message_id() -> None:
    written = make_message_id(SECRET, "thread-1", "0198c0de", "example.net")
    local, _, domain = written.partition("@")
    assert domain == "example.net"
    assert local.startswith("p.0198c0de.")
    assert len(local) == len("p.0198c0de.") + 26
    assert "thread-1" not in written


def test_parts_cannot_be_shifted_into_one_another() -> None:
    one = make_message_id(SECRET, "b.c", "a", "example.net")
    two = make_message_id(SECRET, "c", "a", "example.net")
    assert one.partition("@")[0] != two.partition("@")[0]


def test_d7_our_hop_header_is_known_and_tells_nothing() -> None:
    value = hop_value(SECRET, "site-one")
    assert "site-one" not in value
    assert has_own_hop(carrying((HOP_HEADER.lower(), f" {value} ")), SECRET, "site-one")
    assert not has_own_hop(carrying((HOP_HEADER, value)), SECRET, "site-two")
    assert not has_own_hop(carrying((HOP_HEADER, "ünknown")), SECRET, "site-one")
    assert not has_own_hop(carrying(), SECRET, "site-one")
    assert value != hop_value(SECRET, "site-two")
