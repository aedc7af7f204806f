"""D2: what makes two copies the same message, and what two messages only share."""

from dataclasses import replace
from datetime import UTC, datetime

from postroom.mail.message import Address, AttachedFile, Headers, Mail
from postroom.mail.thread import content_key, identity_key

MAIL = Mail(
    headers=Headers(),
    message_id="one@example.org",
    in_reply_to=(),
    references=(),
    subject="Hours",
    author=Address("Ada", "ada@example.org"),
    from_=Address("Ada", "ada@example.org"),
    reply_to=(),
    to=(),
    cc=(),
    date=datetime(2026, 5, 4, 12, tzinfo=UTC),
    text="When are you open?",
    html=None,
)


def test_d2_copies_differ_in_white_space_and_way_only() -> None:
    copy = replace(
        MAIL,
        headers=Headers((("Received", "elsewhere"),)),
        text="When are\r\n you  open?\n",
        from_=Address("A. Lovelace", "Ada@Example.org"),
        to=(Address("", "desk@example.net"),),
    )
    assert identity_key(copy) == identity_key(MAIL)
    assert content_key(copy) == content_key(MAIL)


def test_d2_an_id_used_again_for_another_text_or_by_another_sender_is_another_message() -> None:
    assert identity_key(replace(MAIL, text="Are you open today?")) != identity_key(MAIL)
    other = Address("Eve", "eve@example.com")
    assert identity_key(replace(MAIL, from_=other)) != identity_key(MAIL)
    assert identity_key(replace(MAIL, message_id="two@example.org")) != identity_key(MAIL)


def test_d2_with_an_id_subject_and_date_may_differ() -> None:
    copy = replace(MAIL, subject="[list] Hours", date=None)
    assert identity_key(copy) == identity_key(MAIL)


def test_d2_without_an_id_from_date_subject_and_text_decide() -> None:
    nameless = replace(MAIL, message_id="")
    assert identity_key(nameless) == identity_key(replace(nameless, text="When are you  open?"))
    for other in (
        replace(nameless, subject="Times"),
        replace(nameless, date=datetime(2026, 5, 5, 12, tzinfo=UTC)),
        replace(nameless, text="x"),
        replace(nameless, from_=None),
        MAIL,
    ):
        assert identity_key(other) != identity_key(nameless)


def test_d2_fields_do_not_run_into_one_another() -> None:
    nameless = replace(MAIL, message_id="", date=None)
    one = replace(nameless, subject="ada@example.org", from_=None)
    two = replace(nameless, subject="", from_=Address("", "ada@example.org"))
    assert identity_key(one) != identity_key(two)


def test_mail_without_text_is_told_apart_by_its_files() -> None:
    def scan(content: bytes) -> Mail:
        file = AttachedFile(0, "scan.pdf", "application/pdf", "attachment", "", content)
        return replace(MAIL, text=" \n", attachments=(file,))

    assert content_key(scan(b"one")) != content_key(scan(b"two"))
    assert content_key(scan(b"one")) == content_key(scan(b"one"))


def test_a_lone_surrogate_in_the_text_is_no_obstacle() -> None:
    assert identity_key(replace(MAIL, text="\ud800")) != identity_key(MAIL)
