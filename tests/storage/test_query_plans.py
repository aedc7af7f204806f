"""Hot queries run on indexes: what they cost does not grow with what is stored."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy import event as sqlalchemy_event

from postroom.core.model import ApiKey, MessageState, Place
from postroom.core.store import ReportedStatus, Settlement, Store
from postroom.storage.engines import parse_url, single_engine
from tests.support.stored import (
    NOW,
    accepted,
    answer_to,
    claimed,
    event,
    later,
    message,
    outgoing,
    submission,
    take_in,
    thread,
    turn,
)

# These indexes hold nothing but work to be done, so that reading all of one is what is wanted.
WORK_ONLY = ("ix_submissions_transmitting", "ix_messages_due", "ix_submissions_queued")
GROWING = (
    "messages|submissions|events|threads|places|parties|contacts|answered|turns|attachments|idempotency|keys"
)

Statement = tuple[str, Any]


@contextmanager
def _recorded() -> Iterator[dict[str, Any]]:
    """Every statement that any engine executes in the block, with one set of its parameters."""
    statements: dict[str, Any] = {}

    def note(_c: Any, _k: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if statement.split(maxsplit=1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            statements[statement] = parameters[0] if many else parameters

    sqlalchemy_event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sqlalchemy_event.remove(Engine, "before_cursor_execute", note)


def _plan(connection: Connection, statement: str, parameters: Any) -> list[str]:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row[-1] for row in rows]
    rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return [row[0] for row in rows]


def _reads_all(line: str) -> bool:
    if any(name in line for name in WORK_ONLY):
        return False
    return bool(re.search(rf"(SCAN|Seq Scan on) ({GROWING})\b", line))


async def test_nothing_on_the_way_of_a_message_reads_a_whole_table(acme: Store, database_url: str) -> None:
    with _recorded() as statements:
        await _receive(acme)
        await _answer(acme)
        await _send(acme)
        await _look(acme)
    assert len(statements) > 60
    engine = single_engine(parse_url(database_url))
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # Small tables are read whole by choice; with this off they are only when there is no other way.
            connection.execute(text("SET enable_seqscan = off"))
        plans = {s: _plan(connection, s, parameters) for s, parameters in statements.items()}
    engine.dispose()
    assert {s: plan for s, plan in plans.items() if any(map(_reads_all, plan))} == {}


async def test_the_check_sees_a_table_that_is_read_whole(acme: Store, database_url: str) -> None:
    with _recorded() as statements:
        await acme.lists.messages("acme", {"reason": "stale"}, None, 5)
    engine = single_engine(parse_url(database_url))
    with engine.connect() as connection:
        plan = _plan(connection, "SELECT count(*) FROM messages WHERE subject = 'x'", ())
    engine.dispose()
    assert any(_reads_all(line) for line in plan)
    assert len(statements) == 1


async def _receive(store: Store) -> None:
    mail = message(cc=(outgoing().to[0],))
    async with store.intake.transaction("acme") as tx:
        await tx.copies("m1@home.example", "")
        await tx.copies("", "content")
        await tx.cited(["a@x", "b@x"])
        await tx.add(mail, Place("INBOX", 1, 1), thread(), event())
        await tx.cited(["m1@home.example"])
        await tx.report("nobody@x", [], event())
    await take_in(store, message(7, "thr_7"))
    async with store.intake.transaction("acme") as tx:
        await tx.answered_elsewhere(["m7@home.example"], event())
    await store.intake.taken("acme", "INBOX", 1, 0)
    await store.intake.cursor("acme", "INBOX")


async def _answer(store: Store) -> None:
    await store.answering.due(NOW, 100)
    work = await claimed(store)
    await store.answering.renew(work.claim, later(minutes=9))
    await store.answering.begin(work.claim, turn())
    await store.answering.conversation("thr_1")
    await store.answering.counts("acme", "thr_1", "alice@home.example", NOW)
    settlement = Settlement(
        MessageState.ANSWERED, "", submission=answer_to(message()), sent=outgoing(), turn=turn()
    )
    await store.answering.settle(work.claim, settlement)
    await take_in(store, message(8, "thr_8", due_at=later(days=1)))
    assert await store.answering.claim("thr_8", "w", NOW, later(minutes=1), "msg_8")


async def _send(store: Store) -> None:
    await store.outbox.due(NOW, 100)
    work = await store.outbox.claim("sub_1", "w", NOW, later(minutes=1))
    assert work is not None
    await store.outbox.renew(work.claim, later(minutes=2))
    await store.outbox.transmitting(work.claim, NOW)
    await store.outbox.record(work.claim, accepted(work.submission), [event()])
    async with store.intake.transaction("acme") as tx:
        said = [ReportedStatus("", "failed", "5.1.1", "")]
        await tx.report("out1@acme.example", said, event())
    assert await store.aftercare.due("acme", 10)
    await store.aftercare.done(["sub_1"], "done")
    await store.outbox.add(submission(2, "thr_2"), outgoing(2, "thr_2"), thread("thr_2"), event())
    await store.outbox.cancel("sub_2", NOW)


async def _look(store: Store) -> None:
    for listing, filters in (
        (store.lists.threads, [{}]),
        (store.lists.messages, [{}, {"state": "due"}, {"thread_id": "thr_1"}, {"message_id": "x@y"}]),
        (store.lists.submissions, [{}, {"status": "sent"}, {"message_id": "x@y"}]),
        (store.lists.events, [{}, {"thread_id": "thr_1"}]),
    ):
        cursor = (await listing("acme", {}, None, 1)).next
        for some in filters:
            await listing("acme", some, cursor, 10)
    await store.things.thread("thr_1")
    await store.things.message("msg_1")
    await store.things.attachment("att_1")
    await store.things.submission("sub_1")
    await store.things.turn("trn_1")
    await store.sites.get("acme")
    await store.sites.owner_of("agent@acme.example")
    await store.desk.resume("thr_1", event())
    await store.desk.retry("msg_1", NOW, event())
    await store.desk.release("nobody")
    await store.desk.note([event()])
    await store.keys.add(ApiKey("key_1", "x", None, NOW), "hash")
    await store.keys.find("hash", NOW)
    await store.idempotency.begin("s", "k", "b", "r", NOW, later(minutes=1))
    await store.idempotency.begin("s", "k", "b", "r", later(minutes=2), later(minutes=3))
    await store.idempotency.finish("s", "k", 200, "")
    await store.idempotency.abandon("s", "k")
