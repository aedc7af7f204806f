"""D2: the same mail by several ways is one; other mail under the same id is not."""

from email.message import EmailMessage

import pytest

from postroom.core.model import MessageState, Source
from tests.support.office import Office, mail

ID = "<order-1@shop.test>"


async def test_the_same_mail_at_two_places_is_one(office: Office) -> None:
    made = mail(message_id=ID)
    first, second = await office.arrive(made), await office.arrive(made)
    assert (first.known, second.known) == (False, True)
    assert first.message.id == second.message.id


async def test_the_same_id_with_another_body_is_another_mail(office: Office) -> None:
    first = await office.arrive(mail(text="your parcel 1", message_id=ID))
    second = await office.arrive(mail(text="your parcel 2", message_id=ID))
    assert first.message.id != second.message.id
    assert second.message.state is MessageState.DUE


async def test_the_same_id_from_somebody_else_is_another_mail(office: Office) -> None:
    await office.arrive(mail(message_id=ID))
    other = await office.arrive(mail("mallory@evil.test", message_id=ID))
    assert not other.known


async def test_white_space_in_the_body_does_not_matter(office: Office) -> None:
    await office.arrive(mail(text="one two\nthree", message_id=ID))
    assert (await office.arrive(mail(text="one  two\n\nthree \n", message_id=ID))).known


async def test_one_copy_by_webhook_may_differ_in_its_body(office: Office) -> None:
    await office.arrive(mail(text="<p>as html</p>", message_id=ID), source=Source.WEBHOOK, place=None)
    assert (await office.arrive(mail(text="as text", message_id=ID))).known


async def test_a_forged_copy_does_not_stand_in_for_the_honest_mail(office: Office) -> None:
    failing = "mx.postroom.test; dmarc=fail header.from=example.test"
    await office.arrive(mail(text="forged", message_id=ID, Authentication_Results=failing))
    honest = await office.arrive(mail(text="honest", message_id=ID), source=Source.WEBHOOK, place=None)
    assert not honest.known
    assert honest.message.state is MessageState.DUE


def without_id(text: str, subject: str = "Question") -> EmailMessage:
    return mail(text=text, subject=subject, message_id=None, Date="Mon, 02 Mar 2026 09:00:00 +0000")


async def test_without_an_id_equal_mail_is_one_and_other_mail_is_not(office: Office) -> None:
    first = await office.arrive(without_id("hello"))
    assert (await office.arrive(without_id("hello"))).known
    assert not (await office.arrive(without_id("hello!"))).known
    assert not (await office.arrive(without_id("hello", "Other"))).known
    assert first.message.state is MessageState.DUE


async def test_webhook_posts_without_an_id_never_merge(office: Office) -> None:
    await office.arrive(without_id("hello"), source=Source.WEBHOOK, place=None)
    assert not (await office.arrive(without_id("hello"), source=Source.WEBHOOK, place=None)).known


@pytest.mark.parametrize(
    "message_id", ["", "<>", "<" + "x" * 2000 + "@example.test>", "<grüße@example.test>"]
)
async def test_odd_ids_are_handled(office: Office, message_id: str) -> None:
    raw = f"From: a@example.test\r\nTo: office@postroom.test\r\nMessage-ID: {message_id}\r\n\r\nhi".encode()
    taken = await office.arrive(raw)
    assert taken.message.state is MessageState.DUE
    assert (await office.arrive(raw)).known
