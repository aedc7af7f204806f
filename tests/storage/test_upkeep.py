"""Forgetting what is old and finished, and nothing else; and leaving nothing of a site that is deleted."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from postroom.core.model import (
    AccountState,
    AccountStatus,
    ApiKey,
    Cursor,
    MessageState,
    Place,
    SealedToken,
)
from postroom.core.registry import Forgotten
from postroom.core.store import Store
from postroom.core.submission import SubmissionStatus
from postroom.storage.engines import parse_url, single_engine
from tests.support.stored import (
    NOW,
    accepted,
    answer_to,
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

DONE: dict[str, Any] = {"state": MessageState.ANSWERED, "due_at": None}
TOMORROW = later(days=1)


async def forget(store: Store, site_id: str = "acme") -> tuple[int, set[str]]:
    """Everything that is older than tomorrow; how many rows, and the blobs that nobody needs now."""
    rows, blobs = 0, set[str]()
    place: int | None = 0
    while place is not None:
        done: Forgotten = await store.upkeep.forget(site_id, TOMORROW, place)
        rows, place = rows + done.rows, done.next
        blobs.update(done.blobs)
    return rows, blobs


async def test_retention_takes_what_is_old_and_leaves_what_is_not(acme: Store) -> None:
    await take_in(acme, message(1, **DONE), message(2, received_at=later(days=2), **DONE))
    _, blobs = await forget(acme)
    assert blobs == {"raw-1"}
    assert await acme.things.message("msg_1") is None
    assert await acme.things.message("msg_2") is not None
    conversation = await acme.things.thread("thr_1")
    assert conversation is not None
    assert conversation.messages == 1


async def test_retention_takes_a_conversation_with_its_last_message(acme: Store) -> None:
    await take_in(acme, message(1, **DONE))
    await forget(acme)
    assert await acme.things.thread("thr_1") is None
    assert (await acme.lists.threads("acme", {}, None, 9)).items == ()


async def test_retention_leaves_what_is_due(acme: Store) -> None:
    await take_in(acme, message(1))
    assert (await forget(acme))[1] == set()
    assert await due_ids(acme.answering.due, later(days=9), 9) == ("thr_1",)


@pytest.mark.parametrize("state", [MessageState.HELD, MessageState.FAILED, MessageState.QUARANTINED])
async def test_retention_takes_what_waited_for_a_person_too_long(acme: Store, state: MessageState) -> None:
    await take_in(acme, message(1, state=state, due_at=None))
    _, blobs = await forget(acme)
    assert blobs == {"raw-1"}
    assert await acme.lists.counts() == {}


async def test_retention_takes_a_finished_submission_with_its_bytes(acme: Store) -> None:
    await take_in(acme, message(1, answered_by="sub_1", **DONE))
    sent = accepted(answer_to(message(1)), aftercare="done")
    assert await acme.outbox.add(sent, outgoing(), None, event())
    _, blobs = await forget(acme)
    assert blobs == {"raw-1", "raw-out1"}
    assert await acme.things.submission("sub_1") is None
    assert await acme.things.thread("thr_1") is None
    counts = await acme.answering.counts("acme", "thr_1", "alice@home.example", later(hours=1))
    assert counts.correspondent_day == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"status": SubmissionStatus.QUEUED},
        {"status": SubmissionStatus.TRANSMITTING, "due_at": None},
        {"status": SubmissionStatus.UNKNOWN, "due_at": None, "finished_at": NOW, "aftercare": "not_in_sent"},
        {"status": SubmissionStatus.SENT, "due_at": None, "finished_at": NOW, "aftercare": "due"},
        {"status": SubmissionStatus.SENT, "due_at": None, "finished_at": later(days=2)},
    ],
    ids=["queued", "transmitting", "unknown", "aftercare", "sent later"],
)
async def test_retention_leaves_what_is_on_its_way_with_its_bytes(
    acme: Store, fields: dict[str, Any]
) -> None:
    await take_in(acme, message(1, answered_by="sub_1", **DONE))
    assert await acme.outbox.add(answer_to(message(1), **fields), outgoing(), None, event())
    _, blobs = await forget(acme)
    assert "raw-out1" not in blobs
    assert await acme.things.submission("sub_1") is not None
    assert await acme.things.message("msg_out1") is not None
    finished_later = fields.get("finished_at") == later(days=2)
    assert (await acme.things.message("msg_1") is None) == finished_later


async def test_retention_comes_to_the_end_of_a_large_site_in_batches(acme: Store) -> None:
    for start in range(0, 1000, 250):
        await take_in(acme, *(message(n, f"thr_{n % 30}", **DONE) for n in range(start, start + 250)))
    await acme.desk.note([event(at=NOW) for _ in range(500)])
    _, blobs = await forget(acme)
    assert len(blobs) == 1000
    assert await acme.lists.counts() == {}
    assert (await acme.lists.events("acme", {}, None, 9)).items == ()


async def test_retention_finds_what_is_old_behind_much_that_is_due(acme: Store) -> None:
    await take_in(acme, *(message(n, f"thr_{n}") for n in range(450)), message(900, "thr_900", **DONE))
    _, blobs = await forget(acme)
    assert blobs == {"raw-900"}


async def test_retention_keeps_bytes_that_another_message_has(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    await take_in(acme, message(1, raw="shared", **DONE))
    await take_in(acme, message(2, "thr_2", site_id="other", raw="shared", **DONE))
    assert (await forget(acme))[1] == set()
    assert (await forget(acme, "other"))[1] == {"shared"}


async def test_retention_leaves_other_sites_alone(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    await take_in(acme, message(2, "thr_2", site_id="other", **DONE))
    assert await forget(acme) == (0, set())
    assert await acme.things.message("msg_2") is not None


async def test_retention_takes_old_turns_and_events(acme: Store) -> None:
    await take_in(acme, message(1))
    work = await acme.answering.claim("thr_1", "w", NOW, later(minutes=5))
    assert work is not None
    await acme.answering.begin(work.claim, turn(1, outcome="answered"))
    await acme.answering.begin(work.claim, turn(2, outcome="waiting"))
    await acme.desk.note([event("new", at=later(days=2))])
    await forget(acme)
    assert await acme.things.turn("trn_1") is None
    assert await acme.things.turn("trn_2") is not None
    assert [e.type for e in (await acme.lists.events("acme", {}, None, 9)).items] == ["new"]


async def test_b7_what_was_forgotten_counts_as_taken_and_as_past(acme: Store) -> None:
    async with acme.intake.transaction("acme") as tx:
        await tx.move_cursor(Cursor("acme", "INBOX", 7, 50, updated_at=NOW))
    await take_in(acme, message(1, **DONE), place=Place("INBOX", 7, 41))
    assert await acme.intake.taken("acme", "INBOX", 7, 40) == {41}
    await forget(acme)
    assert await acme.intake.taken("acme", "INBOX", 7, 40) == {40, 41}
    async with acme.intake.transaction("acme") as tx:
        await tx.move_cursor(Cursor("acme", "INBOX", 7, 60, updated_at=NOW))
    assert await acme.intake.taken("acme", "INBOX", 7, 40) == {40, 41}
    now = await acme.sites.get("acme")
    assert now is not None
    assert now.forgotten_before == TOMORROW
    await acme.sites.save(site(version=2))
    saved = await acme.sites.get("acme")
    assert saved is not None
    assert saved.forgotten_before == TOMORROW
    async with acme.intake.transaction("acme") as tx:  # renumbered: the UIDs mean other messages now
        await tx.move_cursor(Cursor("acme", "INBOX", 8, 2, updated_at=NOW))
    assert await acme.intake.taken("acme", "INBOX", 8, 1) == frozenset()
    assert await acme.intake.taken("acme", "INBOX", 7, 40) == frozenset()


async def test_a_turn_of_work_is_for_one_caller_in_its_time(store: Store) -> None:
    hour = timedelta(hours=1)
    assert await store.upkeep.turn("sweep", NOW, hour)
    assert not await store.upkeep.turn("sweep", later(minutes=59), hour)
    assert await store.upkeep.turn("other", NOW, hour)
    assert await store.upkeep.turn("sweep", later(minutes=60), hour)
    assert not await store.upkeep.turn("sweep", later(minutes=61), hour)


async def test_a_blob_is_needed_as_long_as_a_message_refers_to_it(acme: Store) -> None:
    await take_in(acme, message(1))
    assert await acme.upkeep.unreferred(["raw-1", "raw-2", "raw-3"]) == ("raw-2", "raw-3")
    assert await acme.upkeep.unreferred([]) == ()


async def test_a2_nothing_of_a_deleted_site_is_left_in_any_table(store: Store, database_url: str) -> None:
    await store.sites.save(site("doomed"))
    await store.sites.save(site("kept", email=None))
    await _fill(store, "doomed")
    await store.sites.delete("doomed")
    engine = single_engine(parse_url(database_url))
    with engine.connect() as connection:
        found = {table: rows for table in _tables(connection) if (rows := _naming(connection, table))}
    engine.dispose()
    assert found == {}
    assert [s.id for s in (await store.sites.list(None, 9)).items] == ["kept"]


def _tables(connection: Connection) -> list[str]:
    return [name for name in inspect(connection).get_table_names() if name != "alembic_version"]


def _naming(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(text(f'SELECT * FROM "{table}"')).all()
    return [str(row) for row in rows if "doomed" in str(row)]


async def _fill(store: Store, name: str) -> None:
    """A row of this site in every table that may have one."""
    await store.tokens.put(SealedToken("tok_1", name, "email", "x", "sealed", NOW, NOW))
    await store.keys.add(ApiKey("key_1", "laptop", name, NOW), "hash")
    await store.accounts.report(AccountStatus(name, AccountState.WATCHING, NOW))
    await take_in(store, message(1, site_id=name), place=Place("INBOX", 7, 41))
    async with store.intake.transaction(name) as tx:
        await tx.move_cursor(Cursor(name, "INBOX", 7, 50))
        await tx.answered_elsewhere(["never-seen@home.example"], event(site_id=name))
    work = await store.answering.claim("thr_1", "w", NOW, later(minutes=5))
    assert work is not None
    await store.answering.begin(work.claim, turn(1, site_id=name))
    new = submission(1, "thr_2", site_id=name)
    began = thread("thr_2", site_id=name)
    assert await store.outbox.add(new, outgoing(1, "thr_2", site_id=name), began, event(site_id=name))
    answer = answer_to(message(1), 2, site_id=name)
    assert await store.outbox.add(answer, outgoing(2, site_id=name), None, event(site_id=name))
    for scope in (f"send:{name}", f"sendEmail:{name}", "send:kept"):
        await store.idempotency.begin(scope, "key", "hash", "sub_9", NOW, later(minutes=1))
