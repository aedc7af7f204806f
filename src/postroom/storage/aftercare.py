"""What remains to be done in the mailbox after a submission."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, literal_column, select, update

from postroom.core.model import Place
from postroom.core.store import AftercareWork, Unanswered
from postroom.storage.database import Database
from postroom.storage.dialect import among
from postroom.storage.fences import Fenced
from postroom.storage.rows import select_submissions, submission_of
from postroom.storage.statements import Connection, Statement
from postroom.storage.tables import places, submissions, turns

_DUE = Statement(
    select_submissions()
    .where(submissions.c.site_id == bindparam("site"), submissions.c.aftercare == literal_column("'due'"))
    .order_by(submissions.c.created_at, submissions.c.id)
    .limit(bindparam("limit"))
)
_PLACES = Statement(
    select(places.c.message_id, places.c.mailbox, places.c.uidvalidity, places.c.uid)
    .where(among(places.c.message_id, "messages"))
    .order_by(places.c.mailbox, places.c.uidvalidity, places.c.uid)
)
_UNANSWERED = Statement(
    select(turns.c.message_id, turns.c.finished_at)
    .where(
        turns.c.site_id == bindparam("site"),
        turns.c.started_at > bindparam("begun", type_=turns.c.started_at.type),
        turns.c.finished_at > bindparam("after", type_=turns.c.finished_at.type),
        turns.c.outcome == literal_column("'nothing'"),
    )
    .order_by(turns.c.finished_at)
    .limit(bindparam("limit"))
)
_LONGEST_TURN = timedelta(hours=25)
"""A callback may take a day."""

_DONE = Statement(
    update(submissions).where(submissions.c.id == bindparam("b_id")).values(aftercare=bindparam("b_outcome"))
)


class SqlAftercare(Fenced):
    """`core.store.Aftercare` on a database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def due(self, site_id: str, limit: int) -> tuple[AftercareWork, ...]:
        """`Aftercare.due`."""
        return await self._database.read(lambda c: _due(c, site_id, limit))

    async def done(self, submission_ids: Sequence[str], outcome: str) -> None:
        """`Aftercare.done`."""
        rows = [{"b_id": submission_id, "b_outcome": outcome} for submission_id in sorted(submission_ids)]

        def work(connection: Connection) -> None:
            self.fence(connection)
            connection.run_many(_DONE, rows)

        if rows:
            await self._database.write("aftercare", work)

    async def unanswered(self, site_id: str, after: datetime, limit: int) -> tuple[Unanswered, ...]:
        """`Aftercare.unanswered`."""
        return await self._database.read(lambda c: _unanswered(c, site_id, after, limit))


def _due(connection: Connection, site_id: str, limit: int) -> tuple[AftercareWork, ...]:
    rows = connection.all(_DUE, {"site": site_id, "limit": limit})
    works = [submission_of(row) for row in rows]
    found = _places(connection, [work.answers for work in works if work.answers])
    return tuple(AftercareWork(work, found.get(work.answers or "", ())) for work in works)


def _unanswered(connection: Connection, site_id: str, after: datetime, limit: int) -> tuple[Unanswered, ...]:
    wanted = {"site": site_id, "begun": after - _LONGEST_TURN, "after": after, "limit": limit}
    rows = connection.all(_UNANSWERED, wanted)
    found = _places(connection, [row.message_id for row in rows])
    return tuple(Unanswered(row.finished_at, found.get(row.message_id, ())) for row in rows)


def _places(connection: Connection, message_ids: list[str]) -> dict[str, tuple[Place, ...]]:
    found: dict[str, tuple[Place, ...]] = {}
    for row in connection.all(_PLACES, {"messages": message_ids}) if message_ids else ():
        place = Place(row.mailbox, row.uidvalidity, row.uid)
        found[row.message_id] = (*found.get(row.message_id, ()), place)
    return found
