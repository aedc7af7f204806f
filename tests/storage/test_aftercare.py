"""What remains to be done in the mailbox after a submission."""

from postroom.core.model import Place
from postroom.core.store import Store
from tests.support.stored import (
    NOW,
    accepted,
    answer_to,
    event,
    later,
    message,
    outgoing,
    site,
    submission,
    thread,
)


async def test_copies_and_flags_are_owed_until_they_are_done(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    mail = message()
    async with acme.intake.transaction("acme") as tx:
        await tx.add(mail, Place("INBOX", 7, 3), thread(), event())
        await tx.add_place(mail, Place("Archive", 8, 1))
    second = accepted(submission(2, "thr_2", created_at=later(minutes=1)))
    await acme.outbox.add(second, outgoing(2, "thr_2"), thread("thr_2"), event())
    await acme.outbox.add(accepted(answer_to(mail)), outgoing(1), None, event())
    await acme.outbox.add(submission(3), outgoing(3), None, event())
    works = await acme.aftercare.due("acme", 10)
    assert [w.submission.id for w in works] == ["sub_1", "sub_2"]
    assert [w.places for w in works] == [(Place("Archive", 8, 1), Place("INBOX", 7, 3)), ()]
    assert [w.submission.id for w in await acme.aftercare.due("acme", 1)] == ["sub_1"]
    assert await acme.aftercare.due("other", 10) == ()
    await acme.aftercare.done(["sub_1", "sub_2"], "mailbox_missing")
    assert await acme.aftercare.due("acme", 10) == ()
    done = await acme.things.submission("sub_1")
    assert done is not None
    assert done.aftercare == "mailbox_missing"
    await acme.aftercare.done([], "done")


async def test_a_copy_known_by_two_places_of_one_mailbox_is_named_twice(acme: Store) -> None:
    mail = message()
    async with acme.intake.transaction("acme") as tx:
        await tx.add(mail, Place("INBOX", 7, 9), thread(), event())
        await tx.add_place(mail, Place("INBOX", 7, 3))
    await acme.outbox.add(accepted(answer_to(mail), created_at=NOW), outgoing(1), None, event())
    (work,) = await acme.aftercare.due("acme", 10)
    assert work.places == (Place("INBOX", 7, 3), Place("INBOX", 7, 9))
