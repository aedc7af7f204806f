"""D7, D8, B5, B8: caps, failures, waiting, and what is stored of it."""

from datetime import timedelta
from pathlib import Path

import pytest

from postroom.core.agent import Answer, Attachment, Turn
from postroom.core.errors import AgentFailed, Conflict, InvalidInput
from postroom.core.model import MessageState
from postroom.engine.compose import NewMail
from tests.support.office import US, Office, mail, open_office


async def test_d7_answers_say_that_they_are_automatic(office: Office) -> None:
    await office.work(await office.arrive(mail()))
    answer = (await office.answers())[0]
    assert answer["Auto-Submitted"] == "auto-replied"
    assert answer["X-Auto-Response-Suppress"] == "All"
    assert answer["From"] == f"The office <{US}>"


async def test_d7_a_thread_is_paused_beyond_its_cap_and_the_owner_told_once(office: Office) -> None:
    first = mail(message_id="<first@example.test>")
    await office.work(await office.arrive(first))
    for _ in range(6):
        taken = await office.arrive(mail(References="<first@example.test>"))
        await office.work(taken)
    assert len(await office.answers()) == 5
    thread = await office.service.store.things.thread(taken.message.thread_id)
    assert thread is not None
    assert thread.paused == "cap_thread_10_min"
    assert await office.notices() == ["thread.paused"]
    waiting = await office.message(taken.message.id)
    assert waiting.state is MessageState.DUE


async def test_d7_the_cap_of_a_correspondent_spans_threads(office: Office) -> None:
    await office.set(caps={"correspondentPerDay": 2})
    for _ in range(3):
        await office.work(await office.arrive(mail()))
    assert len(await office.answers()) == 2
    await office.work(await office.arrive(mail("bob@example.test")))
    assert len(await office.answers()) == 3


async def test_d7_beyond_the_sites_cap_strangers_wait_for_the_next_hour(office: Office) -> None:
    await office.set(caps={"newSendersPerHour": 1})
    await office.work(await office.arrive(mail("one@example.test")))
    late = await office.arrive(mail("two@example.test"))
    waiting = await office.work(late)
    assert (waiting.state, waiting.reason) == (MessageState.DUE, "cap_new_senders_hour")
    passing = "mx.postroom.test; dmarc=pass header.from=example.test"
    await office.work(await office.arrive(mail("three@example.test", Authentication_Results=passing)))
    assert len(await office.answers()) == 2
    await office.clock.advance(3700)
    assert (await office.work(late)).state is MessageState.ANSWERED


async def test_d7_lifted_caps_do_not_count(office: Office) -> None:
    await office.set(caps={"threadPer10Min": None, "threadPer2Hours": None, "correspondentPerDay": None})
    await office.work(await office.arrive(mail(message_id="<first@example.test>")))
    for _ in range(9):
        await office.work(await office.arrive(mail(References="<first@example.test>")))
    assert len(await office.answers()) == 10


async def test_messages_of_a_thread_are_answered_in_order_of_arrival(tmp_path: Path) -> None:
    order: list[str] = []

    async def note(turn: Turn) -> Answer:
        order.append(turn.message.text.strip())
        return Answer("ok")

    async with open_office(tmp_path, note) as office:
        first = await office.arrive(mail(text="one", message_id="<first@example.test>"))
        await office.arrive(mail(text="two", References="<first@example.test>"))
        await office.arrive(mail(text="three", References="<first@example.test>"))
        await office.work(first)
    assert order == ["one", "two", "three"]


async def test_an_exception_is_tried_three_times_then_the_message_has_failed(tmp_path: Path) -> None:
    asked = 0

    async def broken(turn: Turn) -> Answer:
        nonlocal asked
        asked += 1
        raise ValueError("no")

    async with open_office(tmp_path, broken) as office:
        taken = await office.arrive(mail())
        for _ in range(6):
            found = await office.work(taken)
            await office.clock.advance(3600)
        assert (found.state, asked) == (MessageState.FAILED, 3)
        assert await office.answers() == []
        assert await office.notices() == ["message.failed"]


async def test_a_temporary_failure_is_tried_again_and_answered_once(tmp_path: Path) -> None:
    asked = 0

    async def busy(turn: Turn) -> Answer:
        nonlocal asked
        asked += 1
        if asked < 8:
            raise AgentFailed("busy", code="agent_throttled", temporary=True)
        return Answer("at last")

    async with open_office(tmp_path, busy) as office:
        taken = await office.arrive(mail())
        for _ in range(12):
            found = await office.work(taken)
            await office.clock.advance(3600)
        assert found.state is MessageState.ANSWERED
        assert len(await office.answers()) == 1


async def test_a_failing_message_holds_its_thread_and_no_other(tmp_path: Path) -> None:
    async def picky(turn: Turn) -> Answer:
        if "bad" in turn.message.text:
            raise AgentFailed("busy", code="agent_throttled", temporary=True)
        return Answer("fine")

    async with open_office(tmp_path, picky) as office:
        bad = await office.arrive(mail(text="bad", message_id="<bad@example.test>"))
        behind = await office.arrive(mail(text="behind", References="<bad@example.test>"))
        other = await office.arrive(mail("bob@example.test", text="other"))
        await office.work(bad)
        await office.work(other)
        assert (await office.message(behind.message.id)).state is MessageState.DUE
        assert (await office.message(other.message.id)).state is MessageState.ANSWERED


async def test_b5_an_empty_answer_mails_nothing(tmp_path: Path) -> None:
    async def empty(turn: Turn) -> Answer:
        return Answer("   \n")

    async with open_office(tmp_path, empty) as office:
        found = await office.work(await office.arrive(mail()))
        assert found.state is MessageState.NO_ANSWER
        assert await office.answers() == []


@pytest.mark.parametrize("content", ["/etc/passwd", Path("/etc/passwd")])
async def test_b8_a_path_is_no_attachment(content: object) -> None:
    with pytest.raises(InvalidInput, match="not a path"):
        Attachment("passwd", content)  # type: ignore[arg-type]  # - what a caller without types does


async def test_the_agent_cannot_also_send_to_the_person_it_answers(tmp_path: Path) -> None:
    refused: list[str] = []

    async def eager(turn: Turn) -> Answer:
        site = await office.site()
        try:
            await office.service.mailer.send(site, NewMail(("Ada <ADA@example.test>",), "Hi", "twice"))
        except Conflict as exc:
            refused.append(exc.code)
        await office.service.mailer.send(site, NewMail(("bob@example.test",), "Hi", "to another"), wait=0)
        return Answer("once")

    async with open_office(tmp_path, eager) as office:
        await office.work(await office.arrive(mail()))
        assert refused == ["being_answered"]
        page = await office.service.store.lists.submissions("office", {}, None, 10)
        assert sorted(r.address for s in page.items for r in s.recipients) == [
            "ada@example.test",
            "bob@example.test",
        ]


async def test_what_became_stale_while_the_agent_was_away_is_held(tmp_path: Path) -> None:
    async def away(turn: Turn) -> Answer:
        raise AgentFailed("away", code="agent_unreachable", temporary=True)

    async with open_office(tmp_path, away) as office:
        taken = await office.arrive(mail())
        await office.work(taken)
        await office.clock.advance(timedelta(hours=73).total_seconds())
        found = await office.work(taken)
        assert (found.state, found.reason) == (MessageState.HELD, "stale")


async def test_d8_the_counts_add_up_to_what_was_received(office: Office) -> None:
    for made in (
        mail(),
        mail(US),
        mail(Precedence="bulk"),
        mail(to="x@else.test"),
        mail("", message_id="<q@x.test>"),
    ):
        await office.work(await office.arrive(made))
    counts = await office.service.store.lists.counts()
    incoming = {
        name: n for name, n in counts.items() if name.startswith("messages.") and name != "messages.sent"
    }
    assert sum(incoming.values()) == 5
    assert incoming["messages.answered"] == 1
