"""How a claimed message ends, and what the caps are held against."""

from dataclasses import replace
from datetime import datetime

import pytest

from postroom.core.errors import Conflict, LeaseLost
from postroom.core.model import MessageState, TrustLevel
from postroom.core.store import AnswerCounts, Settlement, Store, SubmissionWork
from postroom.core.submission import Recipient, SubmissionKind, SubmissionStatus
from postroom.mail.message import Address
from tests.support.stored import (
    NOW,
    accepted,
    answer_to,
    claimed,
    due_ids,
    event,
    later,
    message,
    outgoing,
    site,
    submission,
    take_in,
    thread,
    turn,
)


async def test_an_answer_is_stored_whole(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    await acme.answering.begin(work.claim, turn())
    running = await acme.things.turn("trn_1")
    assert running == turn()
    finished = turn(finished_at=later(seconds=9), outcome="answered", token_hash="h", waits_until=NOW)
    answer, sent = answer_to(message()), outgoing(received_at=later(seconds=9))
    happened = (event("message.answered"), event("agent.note", data={"text": "looked it up"}))
    await acme.answering.settle(
        work.claim,
        Settlement(
            MessageState.ANSWERED,
            "",
            attempts=1,
            submission=answer,
            sent=sent,
            turn=finished,
            events=happened,
        ),
    )
    answered = await acme.things.message("msg_1")
    assert answered is not None
    assert (answered.state, answered.answered_by, answered.attempts) == (MessageState.ANSWERED, "sub_1", 1)
    assert answered.due_at is None
    assert await acme.things.submission("sub_1") == answer
    assert await acme.things.message("msg_out1") == sent
    assert await acme.things.turn("trn_1") == finished
    grown = await acme.things.thread("thr_1")
    assert grown is not None
    assert (grown.messages, grown.last_at) == (2, later(seconds=9))
    assert [m.id for m in await acme.answering.conversation("thr_1")] == ["msg_1", "msg_out1"]
    kinds = {e.type for e in (await acme.lists.events("acme", {}, None, 10)).items}
    assert kinds >= {"message.answered", "agent.note"}
    assert await due_ids(acme.outbox.due, NOW, 10) == ("sub_1",)


async def test_a_settlement_that_cannot_be_written_changes_nothing(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    await acme.outbox.add(submission(1), outgoing(1), None, event())
    clash = Settlement(MessageState.ANSWERED, "", submission=answer_to(message(), 1), turn=turn(), pause="x")
    with pytest.raises(Conflict):
        await acme.answering.settle(work.claim, clash)
    found = await acme.things.message("msg_1")
    assert found is not None
    assert found.state is MessageState.DUE
    assert await acme.things.turn("trn_1") is None
    await acme.answering.settle(work.claim, Settlement(MessageState.NO_ANSWER, "agent_said_nothing"))


async def test_d8_every_end_has_its_reason_and_keeps_its_attempts(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    await acme.answering.begin(work.claim, turn(1))
    await acme.answering.settle(work.claim, Settlement(MessageState.FAILED, "agent_failed"))
    found = await acme.things.message("msg_1")
    assert found is not None
    assert (found.state, found.reason, found.attempts) == (MessageState.FAILED, "agent_failed", 1)


async def test_an_older_message_does_not_turn_back_the_last_activity(acme: Store) -> None:
    await take_in(acme, message(1, received_at=later(hours=2)), message(2, received_at=later(hours=1)))
    found = await acme.things.thread("thr_1")
    assert found is not None
    assert (found.messages, found.last_at) == (2, later(hours=2))


# --- counts (D7) --------------------------------------------------------------------------------


async def _answer(
    store: Store, number: int, at: datetime, *, thread_id: str = "thr_1", sender: str = "alice@home.example"
) -> None:
    """Take in a mail of that sender and answer it at that time."""
    mail = message(number, thread_id, sender=Address("", sender), due_at=at)
    await take_in(store, mail)
    work = await store.answering.claim(thread_id, "w", at, at.replace(microsecond=999))
    assert work is not None
    answer = answer_to(mail, number, created_at=at, recipients=(Recipient(sender),))
    sent = outgoing(number, thread_id, to=(Address("", sender),))
    await store.answering.settle(
        work.claim, Settlement(MessageState.ANSWERED, "", submission=answer, sent=sent)
    )


async def test_d7_answers_are_counted_in_their_windows(acme: Store) -> None:
    at = later(days=1)
    for number, minutes in enumerate((5, 9, 11, 60, 119, 121, 1439, 1441)):
        await _answer(acme, number, later(minutes=24 * 60 - minutes))
    counts = await acme.answering.counts("acme", "thr_1", "alice@home.example", at)
    assert counts == AnswerCounts(2, 5, 7, 1, sender_known=True)


async def test_d7_counts_are_per_thread_correspondent_and_site(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    await _answer(acme, 1, NOW)
    await _answer(acme, 2, NOW, thread_id="thr_2")
    await _answer(acme, 3, NOW, thread_id="thr_3", sender="bob@work.example")
    at = later(minutes=1)
    alice = await acme.answering.counts("acme", "thr_1", "alice@home.example", at)
    assert alice == AnswerCounts(1, 1, 2, 2, sender_known=True)
    carol = await acme.answering.counts("acme", "thr_9", "carol@x.example", at)
    assert carol == AnswerCounts(0, 0, 0, 2, sender_known=False)
    elsewhere = await acme.answering.counts("other", "thr_9", "alice@home.example", at)
    assert elsewhere == AnswerCounts(0, 0, 0, 0, sender_known=False)


async def test_d7_new_senders_are_those_never_written_to_and_not_verified(acme: Store) -> None:
    await _answer(acme, 1, NOW, thread_id="thr_1", sender="new@x.example")
    await _answer(acme, 2, NOW, thread_id="thr_2", sender="New@X.example")
    verified = message(3, "thr_3", sender=Address("", "sure@x.example"), trust=TrustLevel.VERIFIED)
    await take_in(acme, verified)
    work = await claimed(acme, "thr_3")
    answer = answer_to(verified, 3, recipients=(Recipient("sure@x.example"),))
    await acme.answering.settle(work.claim, Settlement(MessageState.ANSWERED, "", submission=answer))
    await acme.outbox.add(
        submission(4, "thr_4", recipients=(Recipient("friend@x.example"),)),
        outgoing(4, "thr_4", to=(Address("", "friend@x.example"),)),
        thread("thr_4"),
        event(),
    )
    await _answer(acme, 5, NOW, thread_id="thr_5", sender="friend@x.example")
    counts = await acme.answering.counts("acme", "thr_1", "new@x.example", later(minutes=1))
    assert counts.new_senders_hour == 1
    assert counts.correspondent_day == 2


async def test_d7_whom_the_owner_wrote_to_from_another_program_is_known(acme: Store) -> None:
    await take_in(acme, outgoing(1, to=(Address("", "Friend@X.example"),)))
    counts = await acme.answering.counts("acme", "thr_9", "friend@x.example", NOW)
    assert counts.sender_known
    counts = await acme.answering.counts("acme", "thr_9", "alice@home.example", NOW)
    assert not counts.sender_known


@pytest.mark.parametrize("status", [SubmissionStatus.CANCELLED, SubmissionStatus.REJECTED])
async def test_d7_answers_that_never_went_out_do_not_count(acme: Store, status: SubmissionStatus) -> None:
    await _answer(acme, 1, NOW)
    if status is SubmissionStatus.CANCELLED:
        assert await acme.outbox.cancel("sub_1", NOW)
    else:
        work = await acme.outbox.claim("sub_1", "w", NOW, later(minutes=1))
        assert work is not None
        await acme.outbox.record(work.claim, accepted(work.submission, status=status), [])
    counts = await acme.answering.counts("acme", "thr_1", "alice@home.example", later(minutes=1))
    assert counts == AnswerCounts(0, 0, 0, 0, sender_known=True)


async def test_d7_only_answers_count(acme: Store) -> None:
    for number, kind in enumerate((SubmissionKind.NEW, SubmissionKind.NOTICE)):
        name = f"thr_{number}"
        await acme.outbox.add(
            submission(number, name, kind=kind), outgoing(number, name), thread(name), event()
        )
    counts = await acme.answering.counts("acme", "thr_0", "alice@home.example", later(minutes=1))
    assert counts == AnswerCounts(0, 0, 0, 0, sender_known=True)


async def test_d7_answers_at_changing_addresses_count_for_their_asker(acme: Store) -> None:
    mail = message(1)
    await take_in(acme, mail)
    work = await claimed(acme)
    answer = answer_to(mail, recipients=(Recipient("elsewhere@home.example"),))
    await acme.answering.settle(work.claim, Settlement(MessageState.ANSWERED, "", submission=answer))
    for address in ("alice@home.example", "elsewhere@home.example"):
        counts = await acme.answering.counts("acme", "thr_9", address, later(minutes=1))
        assert (counts.correspondent_day, counts.sender_known) == (1, True)


async def test_d9_a_reply_stored_as_claimed_is_sent_by_its_writer_or_after_the_lease(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    born = SubmissionWork.at_birth(answer_to(message()), "worker", later(seconds=30))
    settlement = Settlement(
        MessageState.ANSWERED, "", submission=born.submission, sending=born.claim, sent=outgoing()
    )
    await acme.answering.settle(work.claim, settlement)

    assert await due_ids(acme.outbox.due, NOW, 9) == ()
    assert await acme.outbox.claim("sub_1", "other", NOW, later(minutes=5)) is None
    assert await due_ids(acme.outbox.due, later(minutes=1), 9) == ("sub_1",)
    taken = await acme.outbox.claim("sub_1", "other", later(minutes=1), later(minutes=5))
    assert taken is not None
    with pytest.raises(LeaseLost):
        await acme.outbox.transmitting(born.claim, later(minutes=1))
    await acme.outbox.transmitting(taken.claim, later(minutes=1))


async def test_settling_tells_whether_the_thread_has_more_and_how_the_site_stands(acme: Store) -> None:
    await take_in(acme, message(1))
    await take_in(acme, message(2))
    answered = Settlement(MessageState.ANSWERED, "")
    first = await acme.answering.settle((await claimed(acme)).claim, answered)
    changed = await acme.sites.get("acme")
    assert changed is not None
    work = await claimed(acme)
    await acme.sites.save(replace(changed, version=changed.version + 1))
    second = await acme.answering.settle(work.claim, answered)
    assert (first.another_due, second.another_due) == (True, False)
    assert (work.site.version, second.site_version) == (1, 2)


async def test_a_long_conversation_is_left_to_be_asked_for(acme: Store) -> None:
    for number in range(1, 22):
        await take_in(
            acme, message(number, state=MessageState.DUE if number == 21 else MessageState.NO_ANSWER)
        )
    work = await claimed(acme)
    assert work.conversation is None
    assert len(await acme.answering.conversation("thr_1")) == 21
