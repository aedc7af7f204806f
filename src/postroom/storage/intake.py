"""Where sync and ingest write: arrivals become messages, the cursor comes last."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import bindparam, case, exists, literal_column, or_, select, update

from postroom.core.model import Cursor, Direction, Event, Message, MessageState, Place, Thread, new_id
from postroom.core.store import Cited, IntakeTransaction, ReportedStatus
from postroom.storage.database import Database, Session
from postroom.storage.dialect import among
from postroom.storage.fences import Fenced
from postroom.storage.filing import Filing, add_events, storable, weight
from postroom.storage.foreknown import Foreknown
from postroom.storage.reports import note_report, settle_unknown, twin_of
from postroom.storage.rows import message_of, select_messages
from postroom.storage.statements import Connection, Row, Statement, columns_of, given
from postroom.storage.tables import addresses, cursors, messages, parties, places, replied, threads
from postroom.storage.types import clean, index_key

_COPIES = Statement(
    select_messages()
    .where(
        messages.c.site_id == bindparam("site"),
        messages.c.message_key == bindparam("key"),
        messages.c.message_id == bindparam("message_id"),
    )
    .order_by(messages.c.seq)
)
_COPIES_WITHOUT_ID = Statement(
    select_messages()
    .where(
        messages.c.site_id == bindparam("site"),
        messages.c.message_key == literal_column("''"),
        messages.c.content_key == bindparam("content_key"),
    )
    .order_by(messages.c.seq)
)
_KNOWN = Statement(
    select(messages.c.seq, messages.c.message_id, messages.c.thread_id, threads.c.thread_key)
    .join(threads, threads.c.id == messages.c.thread_id)
    .where(
        messages.c.site_id == bindparam("site"),
        among(messages.c.message_key, "keys"),
    )
)
_PARTIES = Statement(
    select(parties.c.thread_id, parties.c.address).where(
        among(parties.c.thread_id, "threads"),
        ~exists().where(addresses.c.address == parties.c.address, addresses.c.site_id == bindparam("site")),
    )
)
_STILL_DUE = Statement(
    select(messages.c.id, messages.c.thread_id)
    .join(threads, threads.c.id == messages.c.thread_id)
    .where(
        messages.c.site_id == bindparam("site"),
        among(messages.c.message_key, "keys"),
        messages.c.state == literal_column("'due'"),
        messages.c.direction == Direction.IN.value,
        or_(
            threads.c.lease_owner.is_(None),
            threads.c.lease_until <= bindparam("now", type_=threads.c.lease_until.type),
        ),
    )
    .order_by(threads.c.id, messages.c.seq)
    .with_for_update(of=threads)
)
_ANSWERED_ELSEWHERE = Statement(
    update(messages)
    .where(messages.c.id == bindparam("b_id"), messages.c.state == literal_column("'due'"))
    .values(state=MessageState.NO_ANSWER.value, reason="answered_elsewhere", due_at=None)
)
# Whoever still works on it under a lease that ran out must not overwrite this.
_FENCE = Statement(
    update(threads)
    .where(threads.c.id == bindparam("b_id"), threads.c.lease_owner.is_not(None))
    .values(lease_owner=None, lease_until=None, lease_token=threads.c.lease_token + 1)
)
_TAKEN = Statement(
    select(places.c.uid).where(
        places.c.site_id == bindparam("site"),
        places.c.mailbox == bindparam("mailbox"),
        places.c.uidvalidity == bindparam("uidvalidity"),
        places.c.uid >= bindparam("lowest"),
    )
)
_FORGOTTEN = Statement(
    select(cursors.c.forgotten_below).where(
        cursors.c.site_id == bindparam("site"),
        cursors.c.mailbox == bindparam("mailbox"),
        cursors.c.uidvalidity == bindparam("uidvalidity"),
    )
)
_REPLIED = Statement(
    select(replied.c.message_key).where(
        replied.c.site_id == bindparam("site"), among(replied.c.message_key, "keys")
    )
)
_CURSOR_FIELDS = [
    "site_id",
    "mailbox",
    "uidvalidity",
    "next_uid",
    "silent_below",
    "silent_before",
    "resets",
    "reset_at",
    "updated_at",
]
_CURSOR = Statement(
    select(*(cursors.c[name] for name in _CURSOR_FIELDS)).where(
        cursors.c.site_id == bindparam("site"), cursors.c.mailbox == bindparam("mailbox")
    )
)


class SqlIntake(Fenced):
    """`core.store.Intake` on a database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._filing = Filing(database.dialect)
        self._move_cursor = _upsert_cursor(database)
        adding = database.dialect.insert(replied).values(given(*columns_of(replied)))
        self._add_replied = Statement(adding.on_conflict_do_nothing())
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def transaction(self, site_id: str) -> AsyncIterator[IntakeTransaction]:
        """`Intake.transaction`."""
        # Waiting here costs nothing; waiting in the database would hold one of its few connections.
        turn = self._turns.setdefault(site_id, asyncio.Lock())
        async with turn, self._database.transaction("intake") as session:
            dialect = self._database.dialect
            session.defer(lambda connection: dialect.serialise(connection, f"site:{site_id}"))
            session.defer(self.fence)
            yield _Transaction(session, site_id, self._filing, self._move_cursor, self._add_replied)

    async def cursor(self, site_id: str, mailbox: str) -> Cursor | None:
        """`Intake.cursor`."""
        wanted = {"site": site_id, "mailbox": mailbox}
        row = await self._database.read(lambda c: c.first(_CURSOR, wanted))
        return None if row is None else Cursor(**row._asdict())

    async def taken(self, site_id: str, mailbox: str, uidvalidity: int, lowest: int) -> frozenset[int]:
        """`Intake.taken`."""
        wanted = {"site": site_id, "mailbox": mailbox, "uidvalidity": uidvalidity, "lowest": lowest}
        return await self._database.read(lambda c: _taken(c, wanted))


def _upsert_cursor(database: Database) -> Statement:
    statement = database.dialect.insert(cursors).values(given(*_CURSOR_FIELDS))
    changed: dict[str, Any] = {name: statement.excluded[name] for name in _CURSOR_FIELDS[2:]}
    same = cursors.c.uidvalidity == statement.excluded.uidvalidity
    changed["forgotten_below"] = case((same, cursors.c.forgotten_below), else_=0)
    return Statement(statement.on_conflict_do_update(index_elements=["site_id", "mailbox"], set_=changed))


class _Transaction:
    """`core.store.IntakeTransaction`: what only writes is deferred, so that a message costs few waits."""

    def __init__(
        self, session: Session, site_id: str, filing: Filing, move_cursor: Statement, add_replied: Statement
    ) -> None:
        self._session = session
        self._site_id = site_id
        self._filing = filing
        self._move_cursor = move_cursor
        self._add_replied = add_replied
        self._foreknown = Foreknown()

    async def expect(self, message_ids: Collection[str], content_keys: Collection[str]) -> None:
        """`IntakeTransaction.expect`."""
        ids = {index_key(message_id) for message_id in message_ids if clean(message_id)}
        await self._session.run(lambda c: self._foreknown.ask(c, self._site_id, ids, content_keys))

    async def copies(self, message_id: str, content_key: str) -> Sequence[Message]:
        """`IntakeTransaction.copies`."""
        if not self._foreknown.maybe(index_key(message_id), content_key):
            return ()
        wanted = {"site": self._site_id, "key": index_key(message_id), "message_id": message_id}
        if not clean(message_id):
            wanted = {"site": self._site_id, "content_key": content_key}
        statement = _COPIES if clean(message_id) else _COPIES_WITHOUT_ID
        return await self._session.run(
            lambda connection: [message_of(row) for row in connection.all(statement, wanted)]
        )

    async def cited(self, message_ids: Sequence[str]) -> Sequence[Cited]:
        """`IntakeTransaction.cited`: in the order of the ids; of several with one id, the first stored is
        last, so that who repeats a known id cannot draw others into a conversation of their own."""
        if not message_ids:
            return ()
        if not self._foreknown.maybe_any(_index_keys(message_ids)):
            return []
        return await self._session.run(lambda c: _cited(c, self._site_id, message_ids))

    async def add(self, message: Message, place: Place | None, thread: Thread | None, event: Event) -> None:
        """`IntakeTransaction.add`."""
        self._foreknown.note(index_key(message.message_id), message.content_key)
        if thread is not None:
            self._session.defer(lambda c: self._filing.begin(c, thread, message), weight(message))
        else:
            self._session.defer(lambda c: self._filing.add(c, message), weight(message))
        if message.direction is Direction.OUT:
            written_to = storable(address.address for address in (*message.to, *message.cc))
            self._session.defer(lambda c: self._filing.add_contacts(c, message.site_id, written_to))
        if place is not None:
            await self.add_place(message, place)
        self._session.defer(lambda c: add_events(c, [event]))

    async def add_place(self, message: Message, place: Place) -> None:
        """`IntakeTransaction.add_place`."""
        self._session.defer(lambda c: self._filing.add_place(c, message, place))

    async def answered_elsewhere(self, message_ids: Sequence[str], event: Event) -> Sequence[str]:
        """`IntakeTransaction.answered_elsewhere`: one event a message, `event` being the pattern."""
        keys = _index_keys(message_ids)
        if not keys:
            return ()
        rows = [{"site_id": self._site_id, "message_key": key, "at": event.at} for key in sorted(set(keys))]
        self._session.defer(lambda c: c.run_many(self._add_replied, rows))
        return await self._session.run(lambda c: _answered_elsewhere(c, self._site_id, message_ids, event))

    async def replied(self, message_ids: Sequence[str]) -> frozenset[str]:
        """`IntakeTransaction.replied`."""
        wanted = {"site": self._site_id, "keys": _index_keys(message_ids)}
        found = await self._session.run(lambda c: set(c.scalars(_REPLIED, wanted)))
        return frozenset(message_id for message_id in message_ids if index_key(message_id) in found)

    async def settle_unknown(self, message_ids: Sequence[str], event: Event) -> Sequence[str]:
        """`IntakeTransaction.settle_unknown`."""
        return await self._session.run(lambda c: settle_unknown(c, self._site_id, message_ids, event))

    async def twin(self, sent: Message) -> str | None:
        """`IntakeTransaction.twin`."""
        return await self._session.run(lambda c: twin_of(c, sent))

    async def report(self, message_id: str, statuses: Sequence[ReportedStatus], event: Event) -> str | None:
        """`IntakeTransaction.report`."""
        return await self._session.run(lambda c: note_report(c, self._site_id, message_id, statuses, event))

    async def move_cursor(self, cursor: Cursor) -> None:
        """`IntakeTransaction.move_cursor`."""
        values = {name: getattr(cursor, name) for name in _CURSOR_FIELDS}
        self._session.defer(lambda c: c.run(self._move_cursor, values))


def _taken(connection: Connection, wanted: dict[str, Any]) -> frozenset[int]:
    """UIDs that have a place, and those whose messages may have been forgotten."""
    forgotten = connection.scalar(_FORGOTTEN, wanted) or 0
    return frozenset((*connection.scalars(_TAKEN, wanted), *range(wanted["lowest"], forgotten)))


def _cited(connection: Connection, site_id: str, message_ids: Sequence[str]) -> list[Cited]:
    order = {clean(message_id): position for position, message_id in enumerate(message_ids)}
    rows = connection.all(_KNOWN, {"site": site_id, "keys": _index_keys(message_ids)})
    known = sorted(
        (row for row in rows if row.message_id in order), key=lambda r: (order[r.message_id], -r.seq)
    )
    taking_part = _participants(connection, site_id, [row.thread_id for row in known])
    found: dict[tuple[str, str], Row] = {}
    for row in known:
        found.pop((row.message_id, row.thread_id), None)
        found[row.message_id, row.thread_id] = row
    return [
        Cited(row.message_id, row.thread_id, row.thread_key, frozenset(taking_part.get(row.thread_id, ())))
        for row in found.values()
    ]


def _participants(connection: Connection, site_id: str, thread_ids: Sequence[str]) -> dict[str, set[str]]:
    result: dict[str, set[str]] = {}
    for row in connection.all(_PARTIES, {"site": site_id, "threads": thread_ids}) if thread_ids else ():
        result.setdefault(row.thread_id, set()).add(row.address)
    return result


def _answered_elsewhere(
    connection: Connection, site_id: str, message_ids: Sequence[str], event: Event
) -> list[str]:
    wanted = {"site": site_id, "keys": _index_keys(message_ids), "now": event.at}
    still_due = connection.all(_STILL_DUE, wanted)
    rows = [row for row in still_due if connection.count(_ANSWERED_ELSEWHERE, {"b_id": row.id})]
    if not rows:
        return []
    connection.run_many(_FENCE, [{"b_id": thread_id} for thread_id in {row.thread_id for row in rows}])
    noted = [
        replace(event, id=new_id("evt", event.at), message_id=row.id, thread_id=row.thread_id) for row in rows
    ]
    add_events(connection, [replace(noted[0], id=event.id), *noted[1:]])
    return [row.id for row in rows]


def _index_keys(message_ids: Sequence[str]) -> list[str]:
    return [index_key(message_id) for message_id in message_ids if message_id]
