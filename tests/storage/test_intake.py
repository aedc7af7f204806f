"""Arrivals become messages: what is kept, what counts as known, and who takes part."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from postroom.core.model import AttachmentInfo, Cursor, Direction, MessageState, Place, Source, TrustLevel
from postroom.core.store import Store
from postroom.mail.message import Address
from tests.support.stored import (
    ACCOUNT,
    ALIAS,
    ALICE,
    NOW,
    Recorder,
    event,
    later,
    message,
    outgoing,
    site,
    take_in,
    thread,
)

BOB = Address("Bob", "Bob@Work.example")


async def test_a_message_comes_back_as_it_was_stored(acme: Store) -> None:
    files = (AttachmentInfo("att_1", 0, "räksmörgås.pdf", "application/pdf", 9, "f" * 64, "cid", "inline"),)
    stored = message(
        in_reply_to=("a@x", "b@y"),
        references=("r@x", "a@x"),
        reply_to=(BOB,),
        cc=(Address("", ALIAS), BOB),
        date=datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-11))),
        text="line\nwith 'quotes' and \U0001f600",
        html="<p>hi</p>",
        attachments=files,
        automatic="bulk",
        notes=("hidden_text",),
        attempts=2,
        delivered_to=ALIAS,
    )
    await take_in(acme, stored)
    assert await acme.things.message("msg_1") == stored
    assert await acme.things.attachment("att_1") == stored
    assert await acme.things.attachment("att_2") is None


@pytest.mark.parametrize("hours", [-12, 12])
@pytest.mark.parametrize("year", [1, 9999])
async def test_a_date_at_the_edge_of_time_is_stored(acme: Store, year: int, hours: int) -> None:
    edge = (12, 31, 23) if year == 9999 else (1, 1, 0)
    await take_in(acme, message(date=datetime(year, *edge, tzinfo=timezone(timedelta(hours=hours)))))
    found = await acme.things.message("msg_1")
    assert found is not None
    assert found.date is not None
    assert abs(found.date - datetime(year, *edge, tzinfo=UTC)) <= timedelta(hours=12)


async def test_text_that_no_database_takes_is_cleaned(acme: Store) -> None:
    hostile = "a\x00b\ud800c"
    await take_in(
        acme,
        message(
            message_id=hostile,
            sender=Address(hostile, "x@y.example"),
            subject=hostile,
            text=hostile,
            html=hostile,
            references=(hostile,),
            cc=(Address(hostile, f"{hostile}@y.example"),),
            notes=(hostile,),
        ),
    )
    found = await acme.things.message("msg_1")
    assert found is not None
    assert found.subject == found.text == found.html == found.message_id == "ab\N{REPLACEMENT CHARACTER}c"
    assert found.references == found.notes == ("ab\N{REPLACEMENT CHARACTER}c",)
    async with acme.intake.transaction("acme") as tx:
        assert [m.id for m in await tx.copies(hostile, "")] == ["msg_1"]
        assert [c.thread_id for c in await tx.cited([hostile])] == ["thr_1"]


async def test_message_ids_longer_than_an_index_entry_are_told_apart(acme: Store) -> None:
    long_one, long_two = "ü" * 2000 + "1@x", "ü" * 2000 + "2@x"
    await take_in(acme, message(1, message_id=long_one), message(2, "thr_2", message_id=long_two))
    async with acme.intake.transaction("acme") as tx:
        assert [m.id for m in await tx.copies(long_two, "")] == ["msg_2"]
        assert [c.thread_id for c in await tx.cited([long_one])] == ["thr_1"]


async def test_addresses_too_long_to_write_to_take_no_part(acme: Store) -> None:
    await take_in(acme, message(cc=(Address("", "x" * 5000 + "@y.example"), Address("group", ""))))
    async with acme.intake.transaction("acme") as tx:
        (cited,) = await tx.cited(["m1@home.example"])
    assert cited.participants == {"alice@home.example"}


async def test_d2_copies_are_looked_up_by_message_id_in_the_order_of_arrival(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    await take_in(acme, message(2, message_id="same@x"), message(1, message_id="same@x"), message(3))
    await take_in(acme, message(4, "thr_o", message_id="same@x", site_id="other"))
    async with acme.intake.transaction("acme") as tx:
        assert [m.id for m in await tx.copies("same@x", "whatever")] == ["msg_2", "msg_1"]
        assert await tx.copies("Same@x", "") == []


async def test_d2_without_a_message_id_the_content_decides(acme: Store) -> None:
    await take_in(
        acme,
        message(1, message_id="", content_key="k"),
        message(2, message_id="", content_key="other"),
        message(3, message_id="x@y", content_key="k"),
    )
    async with acme.intake.transaction("acme") as tx:
        assert [m.id for m in await tx.copies("", "k")] == ["msg_1"]
        assert await tx.copies("", "none") == []


async def test_a_transaction_sees_what_it_added(acme: Store) -> None:
    async with acme.intake.transaction("acme") as tx:
        await tx.add(message(), Place("INBOX", 1, 7), thread(), event())
        assert [m.id for m in await tx.copies("m1@home.example", "")] == ["msg_1"]
        assert [c.participants for c in await tx.cited(["m1@home.example"])] == [{"alice@home.example"}]


async def test_nothing_is_kept_of_a_block_that_raises(acme: Store, steps: Recorder) -> None:
    steps.reached_steps.clear()

    async def fail_half_way() -> None:
        async with acme.intake.transaction("acme") as tx:
            await tx.add(message(), Place("INBOX", 1, 7), thread(), event())
            await tx.move_cursor(Cursor("acme", "INBOX", 1, 8))
            assert await tx.copies("m1@home.example", "")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await fail_half_way()
    assert steps.reached_steps == []
    assert await acme.things.message("msg_1") is None
    assert await acme.things.thread("thr_1") is None
    assert await acme.intake.cursor("acme", "INBOX") is None
    assert await acme.intake.taken("acme", "INBOX", 1, 0) == frozenset()
    await take_in(acme, message())


async def test_the_steps_around_the_commit_are_reached(acme: Store, steps: Recorder) -> None:
    steps.reached_steps.clear()
    await take_in(acme, message())
    assert steps.reached_steps == ["before-commit:intake", "commit:intake"]


async def test_transactions_of_one_site_come_one_after_the_other(acme: Store) -> None:
    async def unless_known(number: int) -> bool:
        async with acme.intake.transaction("acme") as tx:
            if await tx.copies("same@x", ""):
                return False
            await asyncio.sleep(0)
            arrived = message(number, f"thr_{number}", message_id="same@x")
            await tx.add(arrived, None, thread(f"thr_{number}"), event())
            return True

    stored = await asyncio.gather(*(unless_known(number) for number in range(15)))
    assert stored.count(True) == 1


async def test_d1_places_and_cursor_are_kept(acme: Store) -> None:
    cursor = Cursor("acme", "INBOX", 4_294_967_295, 9, 5, NOW, 2, later(days=1), NOW)
    async with acme.intake.transaction("acme") as tx:
        await tx.add(message(), Place("INBOX", 4_294_967_295, 8), thread(), event())
        await tx.add_place(message(), Place("INBOX", 4_294_967_295, 3))
        await tx.add_place(message(), Place("INBOX", 4_294_967_295, 3))
        await tx.add_place(message(), Place("Archive", 4_294_967_295, 4))
        await tx.move_cursor(cursor)
    assert await acme.intake.cursor("acme", "INBOX") == cursor
    assert await acme.intake.taken("acme", "INBOX", 4_294_967_295, 4) == {8}
    assert await acme.intake.taken("acme", "INBOX", 4_294_967_295, 0) == {3, 8}
    assert await acme.intake.taken("acme", "INBOX", 1, 0) == frozenset()
    async with acme.intake.transaction("acme") as tx:
        await tx.move_cursor(replace(cursor, next_uid=12, silent_before=None))
    moved = await acme.intake.cursor("acme", "INBOX")
    assert moved == replace(cursor, next_uid=12, silent_before=None)


# --- who takes part (D3) ------------------------------------------------------------------------


async def test_d3_all_who_are_named_take_part_but_not_the_account(acme: Store) -> None:
    await take_in(acme, message(to=(Address("", ACCOUNT), Address("", "Sales@ACME.example")), cc=(BOB,)))
    async with acme.intake.transaction("acme") as tx:
        (cited,) = await tx.cited(["unknown@x", "m1@home.example"])
    assert (cited.message_id, cited.thread_id) == ("m1@home.example", "thr_1")
    assert cited.thread_key == "thr_1@key.example"
    assert cited.participants == {"alice@home.example", "bob@work.example"}


async def test_d3_an_alias_added_later_takes_no_part_either(acme: Store) -> None:
    await take_in(acme, message(cc=(Address("", "later@acme.example"),)))
    await acme.sites.save(site(version=2, aliases=["later@acme.example"]))
    async with acme.intake.transaction("acme") as tx:
        (cited,) = await tx.cited(["m1@home.example"])
    assert cited.participants == {"alice@home.example"}


async def test_d3_who_is_copied_later_joins(acme: Store) -> None:
    await take_in(acme, message(1), outgoing(1), message(2, cc=(BOB,)))
    async with acme.intake.transaction("acme") as tx:
        (cited,) = await tx.cited(["out1@acme.example"])
    assert "bob@work.example" in cited.participants


@pytest.mark.parametrize(
    ("state", "trust"),
    [(MessageState.QUARANTINED, TrustLevel.CLAIMED), (MessageState.NO_ANSWER, TrustLevel.FAILED)],
)
async def test_d3_a_forged_mail_names_nobody(acme: Store, state: MessageState, trust: TrustLevel) -> None:
    await take_in(acme, message(1), message(2, sender=BOB, cc=(BOB,), state=state, trust=trust))
    async with acme.intake.transaction("acme") as tx:
        cited = await tx.cited(["m1@home.example", "m2@home.example"])
    assert [c.participants for c in cited] == [{"alice@home.example"}] * 2


async def test_d3_cited_messages_come_in_the_order_of_the_ids(acme: Store) -> None:
    await take_in(acme, message(1, "thr_1"), message(2, "thr_2"), message(3, "thr_3"))
    async with acme.intake.transaction("acme") as tx:
        cited = await tx.cited([f"m{n}@home.example" for n in (3, 1, 2)])
    assert [c.thread_id for c in cited] == ["thr_3", "thr_1", "thr_2"]


async def test_d3_who_replays_a_known_id_does_not_take_its_place(acme: Store) -> None:
    mallory = Address("", "mallory@evil.example")
    await take_in(acme, message(1, "thr_1", message_id="root@x"))
    await take_in(acme, message(2, "thr_2", message_id="root@x", sender=mallory, cc=(ALICE,)))
    async with acme.intake.transaction("acme") as tx:
        cited = await tx.cited(["root@x"])
    assert [c.thread_id for c in cited] == ["thr_2", "thr_1"]


async def test_d3_the_conversation_that_had_an_id_first_stays_last(acme: Store) -> None:
    mallory = Address("", "mallory@evil.example")
    await take_in(acme, message(1, "thr_1", message_id="root@x"))
    await take_in(acme, message(2, "thr_2", message_id="root@x", sender=mallory, cc=(ALICE,)))
    await take_in(acme, message(3, "thr_1", message_id="root@x"))
    async with acme.intake.transaction("acme") as tx:
        cited = await tx.cited(["root@x"])
    assert [c.thread_id for c in cited] == ["thr_2", "thr_1"]


async def test_d3_another_sites_messages_are_not_known(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    await take_in(acme, message(1, "thr_o", site_id="other"))
    async with acme.intake.transaction("acme") as tx:
        assert await tx.cited(["m1@home.example"]) == []
        assert await tx.cited([]) == ()
        assert await tx.cited([""]) == []


async def test_a_thousand_references_are_one_question(acme: Store) -> None:
    await take_in(acme, message(1))
    async with acme.intake.transaction("acme") as tx:
        cited = await tx.cited([*(f"{n}@x" for n in range(3000)), "m1@home.example"])
    assert len(cited) == 1


# --- answered by a person (D1) ------------------------------------------------------------------


async def test_d1_what_a_person_answered_is_not_answered_again(acme: Store) -> None:
    await take_in(acme, message(1), message(2), message(3, "thr_3"))
    async with acme.intake.transaction("acme") as tx:
        ids = ["m1@home.example", "m3@home.example", "nobody@x"]
        noted = event("message.answered_elsewhere", message_id="msg_sent", data={"source": "sent"})
        assert set(await tx.answered_elsewhere(ids, noted)) == {"msg_1", "msg_3"}
    found = await acme.things.message("msg_1")
    assert found is not None
    assert (found.state, found.reason) == (MessageState.NO_ANSWER, "answered_elsewhere")
    assert found.due_at is None
    events = (await acme.lists.events("acme", {"type": "message.answered_elsewhere"}, None, 10)).items
    assert {e.message_id for e in events} == {"msg_1", "msg_3"}
    assert {e.thread_id for e in events} == {"thr_1", "thr_3"}
    work = await acme.answering.claim("thr_1", "w", NOW, later(minutes=1))
    assert work is not None
    assert work.message.id == "msg_2"


async def test_d1_what_is_being_answered_stays_so(acme: Store) -> None:
    await take_in(acme, message(1))
    assert await acme.answering.claim("thr_1", "w", NOW, later(minutes=5))
    async with acme.intake.transaction("acme") as tx:
        assert await tx.answered_elsewhere(["m1@home.example"], event(at=later(minutes=4))) == []
    found = await acme.things.message("msg_1")
    assert found is not None
    assert found.state is MessageState.DUE


async def test_d1_only_incoming_mail_that_is_due_is_touched(acme: Store) -> None:
    held = message(1, state=MessageState.HELD, due_at=None)
    await take_in(acme, held, outgoing(2, message_id="m1@home.example", direction=Direction.OUT))
    async with acme.intake.transaction("acme") as tx:
        assert await tx.answered_elsewhere(["m1@home.example"], event()) == []
        assert await tx.answered_elsewhere([], event()) == ()
    assert await acme.things.message("msg_1") == held


async def test_the_source_of_a_message_is_kept(acme: Store) -> None:
    for number, source in enumerate(Source):
        await take_in(acme, message(number, source=source))
        found = await acme.things.message(f"msg_{number}")
        assert found is not None
        assert found.source is source


async def test_d2_a_batch_that_said_what_it_asks_for_finds_it_all(acme: Store) -> None:
    await take_in(acme, message(1))
    await take_in(acme, message(2, "thr_2"))
    await take_in(acme, message(3, "thr_3", message_id=""))
    async with acme.intake.transaction("acme") as tx:
        await tx.expect(["m1@home.example", "m4@home.example", "m9@home.example"], ["content-3", "content-9"])
        await tx.add(message(4, "thr_4"), None, thread("thr_4"), event())
        await tx.add(
            message(5, "thr_5", message_id="", content_key="content-9"), None, thread("thr_5"), event()
        )
        found = [
            await tx.copies(message_id, content)
            for message_id, content in (
                ("m1@home.example", ""),
                ("m2@home.example", ""),  # not said before
                ("m4@home.example", ""),  # from this very batch
                ("m9@home.example", ""),
                ("", "content-3"),
                ("", "content-9"),
                ("", "content-8"),
            )
        ]
        cited = await tx.cited(["m9@home.example", "m4@home.example"])
        assert await tx.cited(["m9@home.example"]) == []
    assert [[m.id for m in copies] for copies in found] == [
        ["msg_1"],
        ["msg_2"],
        ["msg_4"],
        [],
        ["msg_3"],
        ["msg_5"],
        [],
    ]
    assert [c.thread_id for c in cited] == ["thr_4"]
