"""What a person may change by hand, and facts worth noting."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from postroom.core.model import ASKED_FOR, Direction, Event, MessageState
from postroom.storage.database import Database
from postroom.storage.filing import add_events
from postroom.storage.leases import given_back
from postroom.storage.rows import chunks
from postroom.storage.tables import messages, sites, submissions, threads

_RESUME = update(threads).where(threads.c.id == bindparam("b_id"), threads.c.paused != "").values(paused="")
_WAITS_FOR_A_PERSON = (
    messages.c.id == bindparam("b_id"),
    messages.c.direction == Direction.IN.value,
    messages.c.state.in_([MessageState.HELD.value, MessageState.FAILED.value]),
)
_NOTES = select(messages.c.notes).where(*_WAITS_FOR_A_PERSON).with_for_update()
_RETRY = (
    update(messages)
    .where(*_WAITS_FOR_A_PERSON)
    .values(
        state=MessageState.DUE.value,
        reason="",
        attempts=0,
        notes=bindparam("b_notes"),
        due_at=bindparam("now", type_=messages.c.due_at.type),
    )
)
_RELEASE = [
    update(table).where(table.c.lease_owner == bindparam("b_owner")).values(**given_back())
    for table in (threads, submissions)
]
_SITES = select(sites.c.id).where(sites.c.id.in_(bindparam("sites", expanding=True)))


class SqlDesk:
    """`core.registry.Desk` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def resume(self, thread_id: str, event: Event) -> bool:
        """`Desk.resume`."""

        def work(connection: Connection) -> bool:
            if not connection.execute(_RESUME, {"b_id": thread_id}).rowcount:
                return False
            add_events(connection, [event])
            return True

        return await self._database.write("resume", work)

    async def retry(self, message_id: str, now: datetime, event: Event) -> bool:
        """`Desk.retry`."""

        def work(connection: Connection) -> bool:
            row = connection.execute(_NOTES, {"b_id": message_id}).first()
            if row is None:
                return False
            notes = [*(note for note in row.notes if note != ASKED_FOR), ASKED_FOR]
            connection.execute(_RETRY, {"b_id": message_id, "now": now, "b_notes": notes})
            add_events(connection, [event])
            return True

        return await self._database.write("retry", work)

    async def release(self, owner: str) -> None:
        """`Desk.release`."""

        def work(connection: Connection) -> None:
            for statement in _RELEASE:
                connection.execute(statement, {"b_owner": owner})

        await self._database.write("release", work)

    async def note(self, events: Sequence[Event]) -> None:
        """`Desk.note`. What happened to a site that is gone meanwhile is not kept."""

        def work(connection: Connection) -> None:
            there: set[str] = set()
            for some in chunks(event.site_id for event in events):
                there.update(connection.execute(_SITES, {"sites": some}).scalars())
            add_events(connection, [event for event in events if event.site_id in there])

        if events:
            await self._database.write("note", work)
