"""B4, B6: how a conversation is named, what a mail cites, what a reply carries."""

import pytest

from postroom.mail.message import Headers, Mail
from postroom.mail.thread import cited_ids, reply_references, thread_key

LONG = "AM9PR04MB8000" + "0123456789ABCDEF" * 9 + "@AM9PR04MB8000.eurprd04.prod.outlook.com"
ODD = ("a=b?c@x.example", "=?utf-8?q?id?=@x.example", "ünïcode@x.example", "no-at-sign", "x@[::1]")


@pytest.mark.parametrize(
    ("message_id", "references", "in_reply_to", "key"),
    [
        ("m@x", ("root@x", "mid@x"), ("mid@x",), "root@x"),
        ("m@x", (), ("parent@x", "other@x"), "parent@x"),
        ("m@x", (), (), "m@x"),
        ("", (), (), "email:ada@example.org"),
        ("", ("root@x",), (), "root@x"),
    ],
)
def test_b6_the_name_of_a_conversation(
    message_id: str, references: tuple[str, ...], in_reply_to: tuple[str, ...], key: str
) -> None:
    assert thread_key(message_id, references, in_reply_to, "Ada@Example.org") == key


def test_b4_reply_carries_references() -> None:
    assert reply_references(("root@x", "mid@x"), "parent@x") == ("root@x", "mid@x", "parent@x")
    assert reply_references((), "parent@x") == ("parent@x",)


def test_b4_a_parent_without_references_lends_its_one_in_reply_to() -> None:
    assert reply_references((), "parent@x", ("root@x",)) == ("root@x", "parent@x")
    assert reply_references((), "parent@x", ("one@x", "two@x")) == ("parent@x",)
    assert reply_references(("ref@x",), "parent@x", ("root@x",)) == ("ref@x", "parent@x")


def test_b4_ids_stand_once_and_the_parent_last() -> None:
    doubled = ("root@x", "parent@x", "root@x", "mid@x", "")
    assert reply_references(doubled, "parent@x") == ("root@x", "mid@x", "parent@x")


def test_b4_a_long_chain_keeps_its_first_and_last_twenty() -> None:
    chain = tuple(f"{number}@x" for number in range(200))
    kept = reply_references(chain, "parent@x")
    assert kept == ("0@x", *(f"{number}@x" for number in range(181, 200)), "parent@x")
    assert len(kept) == 21


def test_b4_twenty_one_ids_are_not_cut() -> None:
    chain = tuple(f"{number}@x" for number in range(20))
    assert reply_references(chain, "parent@x") == (*chain, "parent@x")


def test_b4_a_parent_without_an_id_leaves_its_references() -> None:
    assert reply_references(("root@x",), "") == ("root@x",)
    assert reply_references((), "") == ()


@pytest.mark.parametrize("strange", [LONG, *ODD])
def test_ids_are_kept_byte_for_byte(strange: str) -> None:
    assert reply_references((strange,), "parent@x") == (strange, "parent@x")
    assert reply_references((), strange) == (strange,)
    assert thread_key("m@x", (strange,), (), "a@b") == strange


def test_what_a_mail_cites_is_named_once_references_first() -> None:
    mail = Mail(
        headers=Headers(),
        message_id="m@x",
        in_reply_to=("mid@x", "extra@x"),
        references=("root@x", "mid@x"),
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
    assert cited_ids(mail) == ("root@x", "mid@x", "extra@x")
