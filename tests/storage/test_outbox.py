"""Submissions: stored once, claimed by one, and never turned back by a late writer."""

import asyncio
from dataclasses import replace

import pytest

from postroom.core.errors import LeaseLost
from postroom.core.store import Store, SubmissionWork
from postroom.core.submission import Recipient, RecipientStatus, SubmissionKind, SubmissionStatus
from tests.support.stored import (
    NOW,
    Recorder,
    accepted,
    due_ids,
    event,
    later,
    message,
    outgoing,
    submission,
    take_in,
    thread,
)


async def _queued(store: Store, number: int = 1, **fields: object) -> None:
    name = f"thr_{number}"
    stored = submission(number, name, **fields)
    assert await store.outbox.add(stored, outgoing(number, name), thread(name), event())


async def _claimed(store: Store, owner: str = "w") -> SubmissionWork:
    work = await store.outbox.claim("sub_1", owner, NOW, later(minutes=5))
    assert work is not None
    return work


async def test_a4_a_submission_is_stored_with_its_mail_and_conversation(acme: Store) -> None:
    stored = submission(
        recipients=(Recipient("a@x.example"), Recipient("ü@x.example")),
        kind=SubmissionKind.NEW,
        smtputf8=True,
        due_at=later(hours=1),
    )
    assert await acme.outbox.add(stored, outgoing(), thread(), event("submission.queued"))
    assert await acme.things.submission("sub_1") == stored
    assert await acme.things.message("msg_out1") == outgoing()
    began = await acme.things.thread("thr_1")
    assert began == thread(messages=1)
    async with acme.intake.transaction("acme") as tx:
        (cited,) = await tx.cited(["out1@acme.example"])
    assert cited.participants == {"alice@home.example"}


async def test_a4_the_same_submission_is_stored_once(acme: Store) -> None:
    adding = (
        acme.outbox.add(submission(1, f"thr_{n}"), outgoing(n, f"thr_{n}"), thread(f"thr_{n}"), event())
        for n in range(12)
    )
    assert sorted(await asyncio.gather(*adding)) == [False] * 11 + [True]
    page = await acme.lists.messages("acme", {}, None, 50)
    assert len(page.items) == 1
    assert len((await acme.lists.threads("acme", {}, None, 50)).items) == 1


async def test_a_reply_joins_the_conversation_that_is_there(acme: Store) -> None:
    await take_in(acme, message())
    assert await acme.outbox.add(submission(), outgoing(received_at=later(hours=1)), None, event())
    found = await acme.things.thread("thr_1")
    assert found is not None
    assert (found.messages, found.last_at) == (2, later(hours=1))


async def test_due_submissions_are_the_queued_whose_time_has_come_and_the_interrupted(acme: Store) -> None:
    await _queued(acme, 1, due_at=later(minutes=2))
    await _queued(acme, 2, due_at=later(minutes=1))
    await _queued(acme, 3, due_at=later(minutes=9))
    await _queued(acme, 4, status=SubmissionStatus.UNKNOWN)
    await _queued(acme, 5, status=SubmissionStatus.TRANSMITTING, due_at=None)
    assert await due_ids(acme.outbox.due, later(minutes=3), 10) == ("sub_5", "sub_2", "sub_1")
    assert await due_ids(acme.outbox.due, later(minutes=3), 1) == ("sub_5",)
    assert await acme.outbox.claim("sub_3", "w", later(minutes=3), later(minutes=9)) is None
    assert await acme.outbox.claim("sub_4", "w", later(minutes=3), later(minutes=9)) is None
    assert await acme.outbox.claim("sub_5", "w", later(minutes=3), later(minutes=9))
    assert await due_ids(acme.outbox.due, later(minutes=3), 10) == ("sub_2", "sub_1")


async def test_of_twenty_who_claim_at_once_one_sends(acme: Store) -> None:
    await _queued(acme)
    claims = (acme.outbox.claim("sub_1", f"w{n}", NOW, later(minutes=5)) for n in range(20))
    works = [work for work in await asyncio.gather(*claims) if work is not None]
    assert len(works) == 1
    assert works[0].submission == submission()


async def test_d9_what_was_transmitting_is_found_so_by_the_next(acme: Store) -> None:
    await _queued(acme)
    work = await _claimed(acme)
    await acme.outbox.transmitting(work.claim, later(seconds=1))
    assert await due_ids(acme.outbox.due, later(minutes=4), 10) == ()
    assert await due_ids(acme.outbox.due, later(minutes=5), 10) == ("sub_1",)
    taken = await acme.outbox.claim("sub_1", "x", later(minutes=5), later(minutes=9))
    assert taken is not None
    assert taken.submission.status is SubmissionStatus.TRANSMITTING
    assert taken.submission.first_try_at == later(seconds=1)


async def test_d9_a_late_sender_commits_nothing(acme: Store, steps: Recorder) -> None:
    await _queued(acme)
    late = await _claimed(acme)
    taken = await acme.outbox.claim("sub_1", "x", later(minutes=6), later(minutes=9))
    assert taken is not None
    steps.reached_steps.clear()
    with pytest.raises(LeaseLost):
        await acme.outbox.transmitting(late.claim, later(minutes=6))
    with pytest.raises(LeaseLost):
        await acme.outbox.record(late.claim, accepted(late.submission), [event("late")])
    with pytest.raises(LeaseLost):
        await acme.outbox.renew(late.claim, later(hours=1))
    assert not any("commit" in step for step in steps.reached_steps)
    assert await acme.things.submission("sub_1") == submission()
    assert (await acme.lists.events("acme", {"type": "late"}, None, 9)).items == ()


async def test_the_steps_of_a_submission_are_reached(acme: Store, steps: Recorder) -> None:
    await _queued(acme)
    steps.reached_steps.clear()
    work = await _claimed(acme)
    await acme.outbox.transmitting(work.claim, NOW)
    await acme.outbox.record(work.claim, accepted(work.submission), [])
    names = ("submission-claim", "transmitting", "submission-record")
    expected = [step for name in names for step in (f"before-commit:{name}", f"commit:{name}")]
    assert steps.reached_steps == expected


async def test_what_is_known_is_recorded_and_the_row_given_back(acme: Store) -> None:
    await _queued(acme)
    work = await _claimed(acme)
    await acme.outbox.transmitting(work.claim, later(seconds=2))
    known = accepted(work.submission, attempts=1, reason="ok", finished_at=later(seconds=3))
    await acme.outbox.record(work.claim, known, [event("submission.sent")])
    assert await acme.things.submission("sub_1") == replace(known, first_try_at=later(seconds=2))
    with pytest.raises(LeaseLost):
        await acme.outbox.record(work.claim, known, [])
    assert len((await acme.lists.events("acme", {"type": "submission.sent"}, None, 9)).items) == 1


async def test_a_deferred_submission_is_due_again_at_its_time(acme: Store) -> None:
    await _queued(acme)
    work = await _claimed(acme)
    waiting = replace(work.submission, due_at=later(minutes=10), attempts=1, reason="greylisted")
    await acme.outbox.record(work.claim, waiting, [])
    assert await due_ids(acme.outbox.due, later(minutes=9), 10) == ()
    again = await acme.outbox.claim("sub_1", "w", later(minutes=10), later(minutes=20))
    assert again is not None
    assert (again.submission.attempts, again.claim.token) == (1, 2)


async def test_renewing_holds_a_submission_for_longer(acme: Store) -> None:
    await _queued(acme)
    work = await _claimed(acme)
    renewed = await acme.outbox.renew(work.claim, later(minutes=30))
    assert await acme.outbox.claim("sub_1", "x", later(minutes=20), later(minutes=40)) is None
    await acme.outbox.record(renewed, accepted(work.submission), [])


async def test_a4_only_what_is_queued_and_free_can_be_cancelled(acme: Store) -> None:
    await _queued(acme)
    work = await _claimed(acme)
    assert not await acme.outbox.cancel("sub_1", NOW)
    await acme.outbox.record(work.claim, replace(work.submission, due_at=later(hours=1)), [])
    assert await acme.outbox.cancel("sub_1", later(minutes=1))
    assert not await acme.outbox.cancel("sub_1", later(minutes=1))
    assert not await acme.outbox.cancel("sub_none", NOW)
    found = await acme.things.submission("sub_1")
    assert found is not None
    assert (found.status, found.due_at) == (SubmissionStatus.CANCELLED, None)
    assert found.finished_at == later(minutes=1)
    assert await due_ids(acme.outbox.due, later(days=1), 10) == ()


async def test_a4_who_slept_through_a_cancellation_sends_nothing(acme: Store) -> None:
    await _queued(acme)
    work = await _claimed(acme)
    assert await acme.outbox.cancel("sub_1", later(minutes=6))
    with pytest.raises(LeaseLost):
        await acme.outbox.transmitting(work.claim, later(minutes=6))


async def test_a_new_start_gives_back_the_submissions_its_name_held(acme: Store) -> None:
    await _queued(acme)
    work = await _claimed(acme, owner="this-machine")
    await acme.desk.release("this-machine")
    assert await due_ids(acme.outbox.due, NOW, 10) == ("sub_1",)
    with pytest.raises(LeaseLost):
        await acme.outbox.transmitting(work.claim, NOW)


async def test_a_report_that_overtakes_the_record_keeps_the_last_word(acme: Store) -> None:
    from postroom.core.store import ReportedStatus

    two = (Recipient("a@x.example"), Recipient("b@x.example"))
    await _queued(acme, recipients=two)
    work = await _claimed(acme)
    await acme.outbox.transmitting(work.claim, NOW)
    async with acme.intake.transaction("acme") as tx:
        said = [ReportedStatus("B@X.example", "failed", "5.1.1", "no such user")]
        assert await tx.report("out1@acme.example", said, event()) == "sub_1"
    await acme.outbox.record(work.claim, accepted(work.submission), [])
    found = await acme.things.submission("sub_1")
    assert found is not None
    assert [r.status for r in found.recipients] == [RecipientStatus.ACCEPTED, RecipientStatus.FAILED]
    assert found.status is SubmissionStatus.SENT
