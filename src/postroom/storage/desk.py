"""What a person may change by hand, and facts worth noting."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, literal_column, or_, select, update

from postroom.core.model import ASKED_FOR, Direction, Event, MessageState
from postroom.core.submission import Recipient, RecipientStatus, SubmissionStatus
from postroom.storage.database import Database
from postroom.storage.dialect import among
from postroom.storage.fences import Fenced
from postroom.storage.filing import add_events
from postroom.storage.leases import given_back
from postroom.storage.rows import recipients_document, recipients_of
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
_DROP = Statement(
    update(messages)
    .where(*_waits_for_a_person)
    .values(state=MessageState.NO_ANSWER.value, reason="dropped", due_at=None)
)
_UNSETTLED = Statement(
    select(submissions.c.status, submissions.c.recipients)
    .where(
        submissions.c.id == bindparam("b_id"),
        or_(
            submissions.c.status == SubmissionStatus.UNKNOWN.value,
            submissions.c.status == SubmissionStatus.FAILED.value,
        ),
    )
    .with_for_update()
)
_RESEND = Statement(
    update(submissions)
    .where(submissions.c.id == bindparam("b_id"))
    .values(
        status=SubmissionStatus.QUEUED.value,
        recipients=bindparam("b_recipients"),
        reason="resent",
        due_at=bindparam("b_now", type_=submissions.c.due_at.type),
        attempts=0,
        first_try_at=None,
        finished_at=None,
        aftercare="",
    )
)
_CLOSE = Statement(
    update(submissions)
    .where(submissions.c.id == bindparam("b_id"))
    .values(
        status=SubmissionStatus.CLOSED.value,
        finished_at=bindparam("b_now", type_=submissions.c.due_at.type),
        aftercare="",
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


class SqlDesk(Fenced):
    """`core.registry.Desk` on a database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
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

    async def drop(self, message_id: str, event: Event) -> bool:
        """`Desk.drop`."""

        def work(connection: Connection) -> bool:
            if not connection.count(_DROP, {"b_id": message_id}):
                return False
            add_events(connection, [event])
            return True

        return await self._database.write("drop", work)

    async def resend(self, submission_id: str, now: datetime, event: Event) -> bool:
        """`Desk.resend`."""

        def work(connection: Connection) -> bool:
            row = connection.first(_UNSETTLED, {"b_id": submission_id})
            again = resent(recipients_of(row.recipients)) if row is not None else None
            if again is None:
                return False
            changed = {"b_recipients": recipients_document(again), "b_now": now}
            connection.run(_RESEND, {"b_id": submission_id, **changed})
            add_events(connection, [event])
            return True

        return await self._database.write("resend", work)

    async def close(self, submission_id: str, now: datetime, event: Event) -> bool:
        """`Desk.close`."""

        def work(connection: Connection) -> bool:
            if connection.first(_UNSETTLED, {"b_id": submission_id}) is None:
                return False
            connection.run(_CLOSE, {"b_id": submission_id, "b_now": now})
            add_events(connection, [event])
            return True

        return await self._database.write("close", work)

    async def release(self, owner: str) -> None:
        """`Desk.release`."""

        def work(connection: Connection) -> None:
            for statement in _RELEASE:
                connection.run(statement, {"b_owner": owner})

        await self._database.write("release", work)

    async def note(self, events: Sequence[Event]) -> None:
        """`Desk.note`. What happened to a site that is gone meanwhile is not kept."""

        def work(connection: Connection) -> None:
            self.fence(connection)
            there = connection.scalars(_SITES, {"sites": {event.site_id for event in events}})
            add_events(connection, [event for event in events if event.site_id in there])

        if events:
            await self._database.write("note", work)


def resent(recipients: Sequence[Recipient]) -> tuple[Recipient, ...] | None:
    """The recipients when those are to get it again whom no server took and none refused for good; None
    when there is nobody like that."""
    after = tuple(Recipient(r.address) if _may_get_it_again(r) else r for r in recipients)
    return after if after != tuple(recipients) else None


def _may_get_it_again(recipient: Recipient) -> bool:
    given_up = recipient.status is RecipientStatus.REJECTED and recipient.code < 500
    return given_up or recipient.status is RecipientStatus.UNKNOWN
