"""Claims and settles threads: one live claim a thread, its oldest due message first."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnClause,
    Connection,
    bindparam,
    case,
    exists,
    false,
    literal_column,
    select,
    update,
)

from postroom.core.model import Claim, Message, MessageState, TurnRecord
from postroom.core.store import AnswerCounts, AnswerWork, Settlement
from postroom.storage.counts import answer_counts
from postroom.storage.database import Database
from postroom.storage.filing import Filing, add_events
from postroom.storage.leases import Leases, claim_values, free, given_back, ours, take, write
from postroom.storage.rows import (
    THREAD_COLUMNS,
    claim_of,
    message_of,
    select_messages,
    thread_of,
    turn_values,
)
from postroom.storage.sending import Sending
from postroom.storage.tables import messages, sites, threads, turns

_DUE: ColumnClause[str] = literal_column("'due'")
_NOW = bindparam("now", type_=messages.c.due_at.type)
_earlier = messages.alias("earlier")
_is_oldest = ~exists().where(
    _earlier.c.thread_id == messages.c.thread_id, _earlier.c.state == _DUE, _earlier.c.seq < messages.c.seq
)
_site_answers = exists().where(sites.c.id == threads.c.site_id, sites.c.paused == false())

_DUE_THREADS = (
    select(messages.c.thread_id)
    .join(threads, threads.c.id == messages.c.thread_id)
    .where(
        messages.c.state == _DUE,
        messages.c.due_at <= _NOW,
        _is_oldest,
        threads.c.paused == "",
        free(threads),
        _site_answers,
    )
    .order_by(messages.c.due_at)
    .limit(bindparam("limit"))
)
# Not SKIP LOCKED: the row is only ever locked for the length of a short write, and a claim that gave up on
# one would leave its bell unheard until the next sweep.
_TAKE = (
    take(threads)
    .where(threads.c.id == bindparam("thread"), threads.c.paused == "", free(threads), _site_answers)
    .returning(*THREAD_COLUMNS, threads.c.lease_owner, threads.c.lease_token, threads.c.lease_until)
)
_OLDEST_DUE = (
    select_messages()
    .where(messages.c.thread_id == bindparam("thread"), messages.c.state == _DUE)
    .order_by(messages.c.seq)
    .limit(1)
)
_THIS_DUE = select_messages().where(
    messages.c.id == bindparam("message"),
    messages.c.thread_id == bindparam("thread"),
    messages.c.state == _DUE,
)
_WORK_ON = (
    update(threads).where(threads.c.id == bindparam("b_thread")).values(lease_message=bindparam("b_message"))
)
_CONVERSATION = select_messages().where(messages.c.thread_id == bindparam("thread")).order_by(messages.c.seq)
_COUNT_ATTEMPT = (
    update(messages)
    .where(
        messages.c.id
        == select(threads.c.lease_message).where(threads.c.id == bindparam("b_thread")).scalar_subquery()
    )
    .values(attempts=messages.c.attempts + 1)
)
_CLAIMED_MESSAGE = select(threads.c.lease_message).where(ours(threads)).with_for_update()
_PAUSE = bindparam("b_pause", type_=threads.c.paused.type)
_GIVE_BACK = (
    update(threads)
    .where(ours(threads))
    .values(
        **given_back(),
        lease_message=None,
        paused=case((_PAUSE != "", _PAUSE), else_=threads.c.paused),
    )
)
_END = (
    update(messages)
    .where(messages.c.id == bindparam("b_message"))
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        due_at=bindparam("b_due_at"),
        answered_by=bindparam("b_answered_by"),
        # Attempts only mean something while it is due again; the end keeps what it took.
        attempts=case(
            (bindparam("b_again", type_=sites.c.paused.type), bindparam("b_attempts")),
            else_=messages.c.attempts,
        ),
    )
)
_TURN_FIELDS = [column.name for column in turns.c if column.name not in ("id", "site_id")]


class SqlAnswering:
    """`core.store.Answering` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(threads)
        self._filing = Filing(database.dialect)
        self._sending = Sending(database.dialect)
        statement = database.dialect.insert(turns)
        self._put_turn = statement.on_conflict_do_update(
            index_elements=["id"], set_={name: statement.excluded[name] for name in _TURN_FIELDS}
        )

    async def due(self, now: datetime, limit: int) -> tuple[str, ...]:
        """`Answering.due`: what is due longest comes first."""
        wanted = {"now": now, "limit": limit}
        found = await self._database.read(lambda c: c.execute(_DUE_THREADS, wanted).scalars().all())
        return tuple(found)

    async def claim(
        self, thread_id: str, owner: str, now: datetime, until: datetime, message_id: str | None = None
    ) -> AnswerWork | None:
        """`Answering.claim`."""
        wanted = {"thread": thread_id, "owner": owner, "now": now, "until": until}

        def work(connection: Connection) -> AnswerWork | None:
            row = connection.execute(_TAKE, wanted).first()
            if row is None:
                return None
            message = _message_to_answer(connection, thread_id, message_id, now)
            if message is None:
                connection.rollback()
                return None
            connection.execute(_WORK_ON, {"b_thread": thread_id, "b_message": message.id})
            return AnswerWork(claim_of(row), thread_of(row), message)

        return await self._database.write("answer-claim", work)

    async def renew(self, claim: Claim, until: datetime) -> Claim:
        """`Answering.renew`."""
        await self._database.write("answer-renew", lambda c: self._leases.renew(c, claim, until))
        return replace(claim, until=until)

    async def conversation(self, thread_id: str) -> tuple[Message, ...]:
        """`Answering.conversation`."""
        rows = await self._database.read(lambda c: c.execute(_CONVERSATION, {"thread": thread_id}).all())
        return tuple(message_of(row) for row in rows)

    async def counts(self, site_id: str, thread_id: str, correspondent: str, now: datetime) -> AnswerCounts:
        """`Answering.counts`."""
        return await self._database.read(lambda c: answer_counts(c, site_id, thread_id, correspondent, now))

    async def begin(self, claim: Claim, turn: TurnRecord) -> None:
        """`Answering.begin`."""

        def work(connection: Connection) -> None:
            self._leases.hold(connection, claim)
            connection.execute(_COUNT_ATTEMPT, {"b_thread": claim.id})
            connection.execute(self._put_turn, turn_values(turn))

        await self._database.write("turn-begin", work)

    async def settle(self, claim: Claim, settlement: Settlement) -> None:
        """`Answering.settle`."""
        await self._database.write("settle", lambda c: self._settle(c, claim, settlement))

    def _settle(self, connection: Connection, claim: Claim, settlement: Settlement) -> None:
        message_id = connection.execute(_CLAIMED_MESSAGE, claim_values(claim)).scalar()
        write(connection, _GIVE_BACK, claim_values(claim) | {"b_pause": settlement.pause})
        connection.execute(_END, _end_values(message_id, settlement))
        if settlement.submission is not None:
            self._sending.add(connection, settlement.submission)
        if settlement.sent is not None:
            self._filing.add(connection, settlement.sent)
        if settlement.turn is not None:
            connection.execute(self._put_turn, turn_values(settlement.turn))
        add_events(connection, settlement.events)


def _message_to_answer(
    connection: Connection, thread_id: str, message_id: str | None, now: datetime
) -> Message | None:
    if message_id is not None:
        row = connection.execute(_THIS_DUE, {"thread": thread_id, "message": message_id}).first()
        return None if row is None else message_of(row)
    row = connection.execute(_OLDEST_DUE, {"thread": thread_id}).first()
    if row is None or row.due_at > now:
        return None
    return message_of(row)


def _end_values(message_id: str | None, settlement: Settlement) -> dict[str, Any]:
    again = settlement.state is MessageState.DUE
    return {
        "b_message": message_id,
        "b_state": settlement.state.value,
        "b_reason": settlement.reason,
        "b_due_at": settlement.due_at if again else None,
        "b_answered_by": settlement.submission.id if settlement.submission else None,
        "b_again": again,
        "b_attempts": settlement.attempts,
    }
