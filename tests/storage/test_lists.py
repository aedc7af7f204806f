"""Lists: newest first, filtered by name, in pages that do not shift."""

from typing import Any

import pytest

from postroom.core.errors import InvalidInput
from postroom.core.model import AccountState, AccountStatus, Direction, MessageState, Page
from postroom.core.store import Store
from postroom.core.submission import SubmissionKind, SubmissionStatus
from tests.support.stored import NOW, event, later, message, outgoing, site, submission, take_in, thread


async def _all(listing: Any, filters: dict[str, Any], limit: int) -> list[str]:
    """The ids of a whole list, page by page."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page: Page[Any] = await listing("acme", filters, cursor, limit)
        assert len(page.items) <= limit
        found += [item.id for item in page.items]
        cursor = page.next
        if cursor is None:
            return found
        assert cursor.isascii()
        assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_hold_every_row_once_newest_first(acme: Store, limit: int) -> None:
    for number in range(7):
        name = f"thr_{number}"
        # Three share each moment, so that only the id can tell them apart.
        at = later(minutes=number // 3)
        began = thread(name, last_at=at)
        stored = submission(number, name, created_at=at)
        await acme.outbox.add(stored, outgoing(number, name, received_at=at), began, event(at=at))
    numbers = list(range(6, -1, -1))
    assert await _all(acme.lists.submissions, {}, limit) == [f"sub_{n}" for n in numbers]
    assert await _all(acme.lists.threads, {}, limit) == [f"thr_{n}" for n in numbers]
    assert await _all(acme.lists.messages, {}, limit) == [f"msg_out{n}" for n in numbers]
    events = await _all(acme.lists.events, {}, limit)
    assert events == sorted(events, reverse=True)
    assert len(events) == 7


async def test_a_page_does_not_shift_when_mail_comes_in(acme: Store) -> None:
    await take_in(acme, *(message(n) for n in range(4)))
    first = await acme.lists.messages("acme", {}, None, 2)
    await take_in(acme, message(9))
    second = await acme.lists.messages("acme", {}, first.next, 2)
    assert [m.id for m in (*first.items, *second.items)] == ["msg_3", "msg_2", "msg_1", "msg_0"]
    assert second.next is None


async def test_an_empty_list_has_no_next_page(acme: Store) -> None:
    assert await acme.lists.threads("acme", {}, None, 10) == Page(())


async def test_lists_are_a_sites_own(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    await take_in(acme, message())
    for listing in (acme.lists.threads, acme.lists.messages, acme.lists.submissions, acme.lists.events):
        assert (await listing("other", {}, None, 10)).items == ()


async def test_messages_are_filtered(acme: Store) -> None:
    await take_in(
        acme,
        message(1),
        message(2, "thr_2", state=MessageState.HELD, reason="stale", due_at=None),
        outgoing(3, "thr_2"),
    )
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({"state": "due"}, ["msg_1"]),
        ({"state": MessageState.HELD}, ["msg_2"]),
        ({"reason": "stale"}, ["msg_2"]),
        ({"direction": Direction.OUT}, ["msg_out3"]),
        ({"source": "ours"}, ["msg_out3"]),
        ({"trust": "verified"}, ["msg_out3"]),
        ({"thread_id": "thr_2"}, ["msg_out3", "msg_2"]),
        ({"thread_id": "thr_2", "direction": "in"}, ["msg_2"]),
        ({"message_id": "<m1@home.example>"}, ["msg_1"]),
        ({"message_id": "m2@home.example"}, ["msg_2"]),
        ({"message_id": "M2@home.example"}, []),
    ]
    for filters, ids in expected:
        assert await _all(acme.lists.messages, filters, 10) == ids, filters


async def test_a4_submissions_are_filtered(acme: Store) -> None:
    await acme.outbox.add(submission(1), outgoing(1), thread(), event())
    other = submission(2, "thr_2", status=SubmissionStatus.SENT, kind=SubmissionKind.NOTICE, answers="msg_9")
    await acme.outbox.add(other, outgoing(2, "thr_2"), thread("thr_2"), event())
    for filters in (
        {"status": "sent"},
        {"kind": "notice"},
        {"thread_id": "thr_2"},
        {"message_id": "out2@acme.example"},
        {"answers": "msg_9"},
    ):
        assert await _all(acme.lists.submissions, filters, 10) == ["sub_2"], filters


async def test_threads_and_events_are_filtered(acme: Store) -> None:
    await take_in(acme, message(1), message(2, "thr_2"))
    async with acme.intake.transaction("acme") as tx:
        await tx.add(message(3, "thr_3"), None, thread("thr_3", cites="thr_1", paused="cap"), event())
    for filters, ids in (
        ({"paused": True}, ["thr_3"]),
        ({"paused": "true"}, ["thr_3"]),
        ({"paused": "cap"}, ["thr_3"]),
        ({"paused": "false"}, ["thr_2", "thr_1"]),
        ({"cites": "thr_1"}, ["thr_3"]),
        ({"thread_key": "thr_2@key.example"}, ["thr_2"]),
    ):
        assert await _all(acme.lists.threads, filters, 10) == ids, filters
    marked = event(
        "odd", thread_id="thr_1", message_id="msg_1", submission_id="s", turn_id="t", data={"n": 1}
    )
    await acme.desk.note([marked])
    for name, value in (
        ("type", "odd"),
        ("thread_id", "thr_1"),
        ("message_id", "msg_1"),
        ("submission_id", "s"),
        ("turn_id", "t"),
    ):
        page = await acme.lists.events("acme", {name: value}, None, 10)
        assert page.items == (marked,), name


@pytest.mark.parametrize(
    ("filters", "pointer"),
    [
        ({"colour": "red"}, "/colour"),
        ({"state": "asleep"}, "/state"),
        ({"state": 5}, "/state"),
        ({"direction": ["in"]}, "/direction"),
        ({"thread_id": None}, "/thread_id"),
        ({"message_id": 1}, "/message_id"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(
    acme: Store, filters: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await acme.lists.messages("acme", filters, None, 10)
    assert refused.value.problems[0].pointer == pointer


async def test_a_cursor_of_another_list_is_refused(acme: Store) -> None:
    await take_in(acme, message(1), message(2), message(3, "thr_2"))
    threads = (await acme.lists.threads("acme", {}, None, 1)).next
    messages = (await acme.lists.messages("acme", {}, None, 1)).next
    assert threads is not None
    assert messages is not None
    for listing, cursor in ((acme.lists.messages, threads), (acme.lists.threads, messages)):
        with pytest.raises(InvalidInput) as refused:
            await listing("acme", {}, cursor, 1)
        assert refused.value.problems[0].pointer == "/cursor"


async def test_a_filter_with_unstorable_text_finds_nothing(acme: Store) -> None:
    await take_in(acme, message())
    assert (await acme.lists.messages("acme", {"thread_id": "thr\x00_\ud800"}, None, 10)).items == ()


async def test_d8_counts_add_up(acme: Store) -> None:
    await take_in(acme, message(1), message(2, state=MessageState.HELD, due_at=None), message(3))
    await acme.outbox.add(submission(), outgoing(), None, event())
    await acme.accounts.report(AccountStatus("acme", AccountState.WATCHING, NOW))
    assert await acme.lists.counts() == {
        "messages.due": 2,
        "messages.held": 1,
        "messages.sent": 1,
        "submissions.queued": 1,
        "accounts.watching": 1,
    }
