"""Single things by id."""

from sqlalchemy import BindParameter, bindparam

from postroom.core.model import Message, Thread, TurnRecord
from postroom.core.submission import Submission
from postroom.storage.database import Database
from postroom.storage.rows import (
    message_of,
    select_messages,
    select_submissions,
    select_threads,
    select_turns,
    submission_of,
    thread_of,
    turn_of,
)
from postroom.storage.statements import Row, Statement
from postroom.storage.tables import attachments, messages, submissions, threads, turns

_ID: BindParameter[str] = bindparam("id")
_THREAD = Statement(select_threads().where(threads.c.id == _ID))
_MESSAGE = Statement(select_messages().where(messages.c.id == _ID))
_ATTACHMENT = Statement(
    select_messages()
    .join(attachments, attachments.c.message_id == messages.c.id)
    .where(attachments.c.id == _ID)
)
_SUBMISSION = Statement(select_submissions().where(submissions.c.id == _ID))
_TURN = Statement(select_turns().where(turns.c.id == _ID))


class SqlThings:
    """`core.registry.Things` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def thread(self, thread_id: str) -> Thread | None:
        """`Things.thread`."""
        row = await self._one(_THREAD, thread_id)
        return None if row is None else thread_of(row)

    async def message(self, message_id: str) -> Message | None:
        """`Things.message`."""
        row = await self._one(_MESSAGE, message_id)
        return None if row is None else message_of(row)

    async def attachment(self, attachment_id: str) -> Message | None:
        """`Things.attachment`."""
        row = await self._one(_ATTACHMENT, attachment_id)
        return None if row is None else message_of(row)

    async def submission(self, submission_id: str) -> Submission | None:
        """`Things.submission`."""
        row = await self._one(_SUBMISSION, submission_id)
        return None if row is None else submission_of(row)

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """`Things.turn`."""
        row = await self._one(_TURN, turn_id)
        return None if row is None else turn_of(row)

    async def _one(self, statement: Statement, key: str) -> Row | None:
        return await self._database.read(lambda c: c.first(statement, {"id": key}))
