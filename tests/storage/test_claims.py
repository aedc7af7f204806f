"""Claims on threads: one holder, oldest first, and late writers who are turned away."""

import asyncio

import pytest

from postroom.core.errors import LeaseLost
from postroom.core.model import Claim, MessageState
from postroom.core.store import Settlement, Store
from tests.support.stored import (
    NOW,
    Recorder,
    answer_to,
    claimed,
    due_ids,
    event,
    later,
    message,
    outgoing,
    site,
    take_in,
    turn,
)

ANSWERED = Settlement(MessageState.ANSWERED, "")


async def test_a_claim_brings_the_thread_and_its_oldest_due_message(acme: Store) -> None:
    done = message(1, state=MessageState.NO_ANSWER, due_at=None)
    await take_in(acme, done, message(3), message(2))
    work = await claimed(acme)
    assert work.claim == Claim("thr_1", "acme", "worker", 1, later(minutes=5))
    assert work.message == message(3)
    assert (work.thread.id, work.thread.messages) == ("thr_1", 3)


async def test_of_twenty_who_claim_at_once_one_holds_the_thread(acme: Store) -> None:
    await take_in(acme, message())
    claims = (acme.answering.claim("thr_1", f"w{n}", NOW, later(minutes=5)) for n in range(20))
    works = [work for work in await asyncio.gather(*claims) if work is not None]
    assert len(works) == 1
    assert works[0].claim.token == 1


async def test_claims_and_settlements_of_many_answer_each_message_once_in_order(acme: Store) -> None:
    await take_in(acme, *(message(n) for n in range(12)))
    answered: list[str] = []

    async def worker(name: str) -> None:
        while len(answered) < 12:
            work = await acme.answering.claim("thr_1", name, NOW, later(minutes=5))
            if work is None:
                await asyncio.sleep(0)
                continue
            answered.append(work.message.id)
            await acme.answering.settle(work.claim, ANSWERED)

    async with asyncio.timeout(30):
        await asyncio.gather(*(worker(f"w{n}") for n in range(4)))
    assert answered == [f"msg_{n}" for n in range(12)]


async def test_a_message_in_back_off_holds_its_thread(acme: Store) -> None:
    await take_in(acme, message(1, due_at=later(minutes=10)), message(2))
    assert await due_ids(acme.answering.due, later(minutes=9), 10) == ()
    assert await acme.answering.claim("thr_1", "w", later(minutes=9), later(minutes=20)) is None
    assert await due_ids(acme.answering.due, later(minutes=10), 10) == ("thr_1",)
    work = await acme.answering.claim("thr_1", "w", later(minutes=10), later(minutes=20))
    assert work is not None
    assert work.message.id == "msg_1"


async def test_a_thread_given_back_for_later_is_due_then(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    await acme.answering.begin(work.claim, turn())
    again = Settlement(MessageState.DUE, "agent_busy", due_at=later(hours=1), attempts=1)
    await acme.answering.settle(work.claim, again)
    assert await due_ids(acme.answering.due, later(minutes=59), 10) == ()
    work2 = await acme.answering.claim("thr_1", "w", later(hours=1), later(hours=2))
    assert work2 is not None
    assert (work2.message.reason, work2.message.attempts) == ("agent_busy", 1)
    assert work2.claim.token > work.claim.token


async def test_due_threads_come_longest_due_first_and_no_more_than_asked(acme: Store) -> None:
    for number, minutes in ((1, 3), (2, 1), (3, 2), (4, 9)):
        await take_in(acme, message(number, f"thr_{number}", due_at=later(minutes=minutes)))
    assert await due_ids(acme.answering.due, later(minutes=5), 10) == ("thr_2", "thr_3", "thr_1")
    assert await due_ids(acme.answering.due, later(minutes=5), 2) == ("thr_2", "thr_3")


async def test_sites_take_turns_in_what_is_due(acme: Store) -> None:
    await acme.sites.save(site("quiet", email=None))
    for number in range(1, 5):
        await take_in(acme, message(number, f"thr_{number}", due_at=later(minutes=number)))
    await take_in(acme, message(9, "thr_9", site_id="quiet", due_at=later(minutes=9)))
    assert await due_ids(acme.answering.due, later(minutes=9), 3) == ("thr_1", "thr_9", "thr_2")


async def test_a_live_lease_hides_a_thread_and_one_that_ran_out_does_not(acme: Store) -> None:
    await take_in(acme, message())
    first = await claimed(acme, owner="first")
    assert await due_ids(acme.answering.due, later(minutes=4), 10) == ()
    assert await acme.answering.claim("thr_1", "second", later(minutes=4), later(minutes=9)) is None
    assert await due_ids(acme.answering.due, later(minutes=5), 10) == ("thr_1",)
    second = await acme.answering.claim("thr_1", "second", later(minutes=5), later(minutes=9))
    assert second is not None
    assert second.claim.token == first.claim.token + 1
    assert second.message.id == "msg_1"


async def test_a_late_writer_writes_nothing(acme: Store, steps: Recorder) -> None:
    await take_in(acme, message())
    late = await claimed(acme, owner="late")
    taken = await acme.answering.claim("thr_1", "new", later(minutes=6), later(minutes=9))
    assert taken is not None
    before = await acme.lists.counts()
    steps.reached_steps.clear()
    answer = answer_to(message())
    settlement = Settlement(
        MessageState.ANSWERED,
        "",
        submission=answer,
        sent=outgoing(),
        turn=turn(),
        pause="x",
        events=(event("late"),),
    )
    for write in (
        acme.answering.settle(late.claim, settlement),
        acme.answering.begin(late.claim, turn()),
        acme.answering.renew(late.claim, later(hours=9)),
    ):
        with pytest.raises(LeaseLost):
            await write
    assert not any("commit" in step for step in steps.reached_steps)
    assert await acme.lists.counts() == before
    assert await acme.things.submission("sub_1") is None
    assert await acme.things.turn("trn_1") is None
    assert (await acme.lists.events("acme", {"type": "late"}, None, 9)).items == ()
    found = await acme.things.thread("thr_1")
    assert found is not None
    assert found.paused == ""
    await acme.answering.settle(taken.claim, ANSWERED)


async def test_a_claim_counts_once(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    await acme.answering.settle(work.claim, ANSWERED)
    with pytest.raises(LeaseLost):
        await acme.answering.settle(work.claim, ANSWERED)


async def test_an_owner_cannot_write_under_anothers_token(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    forged = Claim(work.claim.id, work.claim.site_id, "someone", work.claim.token, work.claim.until)
    with pytest.raises(LeaseLost):
        await acme.answering.settle(forged, ANSWERED)


async def test_a_worker_that_lost_its_claim_to_itself_is_late_too(acme: Store) -> None:
    await take_in(acme, message())
    late = await claimed(acme, owner="worker")
    again = await acme.answering.claim("thr_1", "worker", later(minutes=6), later(minutes=9))
    assert again is not None
    with pytest.raises(LeaseLost):
        await acme.answering.settle(late.claim, ANSWERED)
    await acme.answering.settle(again.claim, ANSWERED)


async def test_a_lease_that_ran_out_is_good_until_another_takes_it(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    assert await due_ids(acme.answering.due, later(hours=1), 10) == ("thr_1",)
    await acme.answering.settle(work.claim, ANSWERED)
    assert await due_ids(acme.answering.due, later(hours=1), 10) == ()


async def test_renewing_holds_the_thread_for_longer(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    renewed = await acme.answering.renew(work.claim, later(minutes=30))
    assert renewed.until == later(minutes=30)
    assert await acme.answering.claim("thr_1", "x", later(minutes=20), later(minutes=40)) is None
    await acme.answering.settle(renewed, ANSWERED)


async def test_who_was_overtaken_by_a_person_writes_nothing(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    async with acme.intake.transaction("acme") as tx:
        answered = await tx.answered_elsewhere(["m1@home.example"], event(at=later(minutes=6)))
    assert answered == ["msg_1"]
    with pytest.raises(LeaseLost):
        await acme.answering.settle(work.claim, ANSWERED)
    found = await acme.things.message("msg_1")
    assert found is not None
    assert found.reason == "answered_elsewhere"


async def test_a_paused_thread_is_not_claimed_until_it_is_resumed(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    capped = Settlement(MessageState.DUE, "cap_thread_10_min", due_at=NOW, pause="cap_thread_10_min")
    await acme.answering.settle(work.claim, capped)
    assert await due_ids(acme.answering.due, later(days=1), 10) == ()
    assert await acme.answering.claim("thr_1", "w", NOW, later(minutes=5)) is None
    assert await acme.answering.claim("thr_1", "w", NOW, later(minutes=5), "msg_1") is None
    assert await acme.desk.resume("thr_1", event("thread.resumed"))
    assert not await acme.desk.resume("thr_1", event("thread.resumed"))
    assert len((await acme.lists.events("acme", {"type": "thread.resumed"}, None, 9)).items) == 1
    await claimed(acme)


async def test_a_site_that_is_paused_answers_nothing(acme: Store) -> None:
    await take_in(acme, message())
    await acme.sites.save(site(version=2, paused=True))
    assert await due_ids(acme.answering.due, NOW, 10) == ()
    assert await acme.answering.claim("thr_1", "w", NOW, later(minutes=5)) is None
    await acme.sites.save(site(version=3))
    assert await due_ids(acme.answering.due, NOW, 10) == ("thr_1",)
    await claimed(acme)


async def test_c_a_callback_takes_its_message_before_its_time(acme: Store) -> None:
    await take_in(acme, message(1, due_at=later(hours=24)), message(2))
    assert await acme.answering.claim("thr_1", "w", NOW, later(minutes=5), "msg_9") is None
    work = await acme.answering.claim("thr_1", "w", NOW, later(minutes=5), "msg_1")
    assert work is not None
    assert work.message.id == "msg_1"
    await acme.answering.settle(work.claim, ANSWERED)
    assert await acme.answering.claim("thr_1", "w", NOW, later(minutes=5), "msg_1") is None
    following = await claimed(acme)
    assert following.message.id == "msg_2"


async def test_a_thread_without_work_stays_free(acme: Store) -> None:
    await take_in(acme, message(state=MessageState.HELD, due_at=None))
    assert await acme.answering.claim("thr_1", "w", NOW, later(minutes=5)) is None
    assert await acme.answering.claim("thr_nobody", "w", NOW, later(minutes=5)) is None
    assert await acme.desk.retry("msg_1", NOW, event())
    work = await claimed(acme)
    assert work.claim.token == 1


async def test_a_new_start_gives_back_what_its_name_held(acme: Store) -> None:
    await take_in(acme, message(1), message(2, "thr_2"))
    mine = await claimed(acme, "thr_1", owner="this-machine")
    other = await claimed(acme, "thr_2", owner="other-machine")
    await acme.desk.release("this-machine")
    assert await due_ids(acme.answering.due, NOW, 10) == ("thr_1",)
    with pytest.raises(LeaseLost):
        await acme.answering.settle(mine.claim, ANSWERED)
    await acme.answering.settle(other.claim, ANSWERED)
