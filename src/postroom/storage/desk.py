"""What a person may change by hand, and facts worth noting."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, literal_column, or_, select, update

from postroom.core.model import ASKED_FOR, Direction, Event, MessageState
from postroom.storage.database import Database
from postroom.storage.dialect import among
from postroom.storage.filing import add_events
from postroom.storage.leases import given_back
from postroom.storage.statements import Connection, Statement
from postroom.storage.tables import messages, sites, submissions, threads

_RESUME = Statement(
    update(threads).where(threads.c.id == bindparam("b_id"), threads.c.paused != "").values(paused="")
)
_waits_for_a_person = (
    messages.c.id == bindparam("b_id"),
    messages.c.direction == Direction.IN.value,
    or_(messages.c.state == MessageState.HELD.value, messages.c.state == MessageState.FAILED.value),
)
_NOTES = Statement(select(messages.c.notes).where(*_waits_for_a_person).with_for_update())
_RETRY = Statement(
    update(messages)
    .where(*_waits_for_a_person)
    .values(
        state=MessageState.DUE.value,
        reason="",
        attempts=0,
        notes=bindparam("b_notes"),
        due_at=bindparam("now", type_=messages.c.due_at.type),
    )
)
# Only what is due can be claimed, and what is due has an index.
_with_due_mail = select(messages.c.thread_id).where(messages.c.state == literal_column("'due'"))
_RELEASE = [
    Statement(update(table).where(held, table.c.lease_owner == bindparam("b_owner")).values(**given_back()))
    for table, held in (
        (threads, threads.c.id.in_(_with_due_mail)),
        (submissions, submissions.c.status == literal_column("'queued'")),
        (submissions, submissions.c.status == literal_column("'transmitting'")),
    )
]
_SITES = Statement(select(sites.c.id).where(among(sites.c.id, "sites")))


class SqlDesk:
    """`core.registry.Desk` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def resume(self, thread_id: str, event: Event) -> bool:
        """`Desk.resume`."""

        def work(connection: Connection) -> bool:
            if not connection.count(_RESUME, {"b_id": thread_id}):
                return False
            add_events(connection, [event])
            return True

        return await self._database.write("resume", work)

    async def retry(self, message_id: str, now: datetime, event: Event) -> bool:
        """`Desk.retry`."""

        def work(connection: Connection) -> bool:
            row = connection.first(_NOTES, {"b_id": message_id})
            if row is None:
                return False
            notes = [*(note for note in row.notes if note != ASKED_FOR), ASKED_FOR]
            connection.run(_RETRY, {"b_id": message_id, "now": now, "b_notes": notes})
            add_events(connection, [event])
            return True

        return await self._database.write("retry", work)

    async def release(self, owner: str) -> None:
        """`Desk.release`."""

        def work(connection: Connection) -> None:
            for statement in _RELEASE:
                connection.run(statement, {"b_owner": owner})

        await self._database.write("release", work)

    async def note(self, events: Sequence[Event]) -> None:
        """`Desk.note`. What happened to a site that is gone meanwhile is not kept."""

        def work(connection: Connection) -> None:
            there = connection.scalars(_SITES, {"sites": {event.site_id for event in events}})
            add_events(connection, [event for event in events if event.site_id in there])

        if events:
            await self._database.write("note", work)
