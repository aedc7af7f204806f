"""Backups of the embedded database, and what a restored one must not do again."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import bindparam, delete, literal_column, or_, select, update

from postroom.core.model import Event, new_id
from postroom.core.registry import Unfinished
from postroom.core.submission import Recipient, RecipientStatus, SubmissionStatus
from postroom.storage.database import Database
from postroom.storage.faults import translate
from postroom.storage.filing import add_events
from postroom.storage.leases import given_back
from postroom.storage.rows import recipients_document, recipients_of
from postroom.storage.statements import Connection, Row, Statement
from postroom.storage.tables import facts, messages, submissions, threads

MARK = "restored"
"""The fact of a database that the world went on without."""

_MARKED = Statement(select(facts.c.name).where(facts.c.name == MARK))
_UNMARK = Statement(delete(facts).where(facts.c.name == MARK))
_NOW = bindparam("now", type_=submissions.c.due_at.type)
_UNTIL = bindparam("until", type_=messages.c.due_at.type)
# A mail for later that was never tried goes out at its time: nobody can have sent it before.
_which = select(submissions.c.id, submissions.c.site_id, submissions.c.thread_id, submissions.c.recipients)
_ON_THEIR_WAY = [
    Statement(_which.where(submissions.c.status == literal_column("'transmitting'"))),
    Statement(
        _which.where(
            submissions.c.status == literal_column("'queued'"),
            or_(submissions.c.due_at <= _NOW, submissions.c.attempts > 0),
        )
    ),
]
_UNKNOWN = Statement(
    update(submissions)
    .where(submissions.c.id == bindparam("b_id"))
    .values(
        **given_back(),
        status=SubmissionStatus.UNKNOWN.value,
        recipients=bindparam("b_recipients"),
        reason=MARK,
        due_at=None,
        finished_at=bindparam("b_now", type_=submissions.c.due_at.type),
        aftercare="due",
    )
)
_LATER = Statement(
    update(messages)
    .where(messages.c.state == literal_column("'due'"), messages.c.due_at < _UNTIL)
    .values(due_at=_UNTIL)
)
# Whoever answered when the backup was taken is gone; what Sent tells is held against what nobody holds.
_GIVE_BACK = Statement(
    update(threads)
    .where(
        threads.c.id.in_(select(messages.c.thread_id).where(messages.c.state == literal_column("'due'"))),
        threads.c.lease_owner.is_not(None),
    )
    .values(**given_back(), lease_token=threads.c.lease_token + 1)
)
_OPEN = (RecipientStatus.QUEUED, RecipientStatus.DEFERRED)


class SqlRestoring:
    """`core.registry.Restoring` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def marked(self) -> bool:
        """`Restoring.marked`."""
        return await self._database.read(lambda c: c.first(_MARKED)) is not None

    async def settle(self, now: datetime, wait: timedelta) -> Unfinished:
        """`Restoring.settle`."""

        def work(connection: Connection) -> Unfinished:
            going = [row for statement in _ON_THEIR_WAY for row in connection.all(statement, {"now": now})]
            for row in going:
                _make_unknown(connection, row, now)
            waiting = connection.count(_LATER, {"until": now + wait})
            connection.run(_GIVE_BACK)
            connection.run(_UNMARK)
            return Unfinished(submissions=len(going), messages=waiting)

        return await self._database.write("restored", work)


def _make_unknown(connection: Connection, row: Row, now: datetime) -> None:
    recipients = [_unknown(recipient) for recipient in recipients_of(row.recipients)]
    values = {"b_id": row.id, "b_recipients": recipients_document(recipients), "b_now": now}
    connection.run(_UNKNOWN, values)
    event = Event(
        new_id("evt", now),
        row.site_id,
        "submission.unknown",
        now,
        row.thread_id,
        submission_id=row.id,
        data={"reason": MARK},
    )
    add_events(connection, [event])


def _unknown(recipient: Recipient) -> Recipient:
    return replace(recipient, status=RecipientStatus.UNKNOWN) if recipient.status in _OPEN else recipient


# --- a copy of the embedded database --------------------------------------------------------------


async def copy_database(source: Path, target: Path) -> None:
    """Write a consistent copy of the embedded database, while others read and write it, and mark it as
    one. Raises `PostroomError`; `target` must not be there."""
    await asyncio.to_thread(_copy, source, target)


def referred_blobs(database: Path) -> Iterator[str]:
    """The digests that a copy refers to."""
    with closing(sqlite3.connect(database)) as connection:
        yield from (row[0] for row in connection.execute("SELECT DISTINCT raw FROM messages WHERE raw <> ''"))


def _copy(source: Path, target: Path) -> None:
    try:
        with closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
        with closing(sqlite3.connect(target)) as copy, copy:
            copy.execute("INSERT OR IGNORE INTO facts (name, value) VALUES (?, '')", (MARK,))
    except sqlite3.Error as exc:
        raise translate(exc) from exc
