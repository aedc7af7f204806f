"""Claims and settles threads: one live claim a thread, its oldest due message first."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Select,
    bindparam,
    case,
    exists,
    false,
    literal_column,
    select,
    update,
)

from postroom.core.model import Claim, Message, MessageState, Site, Thread, TurnRecord
from postroom.core.store import AnswerCounts, AnswerWork, Due, Settled, Settlement
from postroom.mail.address import normalise
from postroom.storage.counts import answer_counts
from postroom.storage.database import Database
from postroom.storage.filing import Filing, add_events, grown, light
from postroom.storage.leases import (
    Leases,
    by_turns,
    claim_values,
    free,
    given_back,
    looked,
    lost,
    ours,
    take,
    write,
)
from postroom.storage.rows import (
    THREAD_COLUMNS,
    claim_of,
    message_of,
    select_messages,
    thread_of,
    turn_values,
)
from postroom.storage.sending import Sending
from postroom.storage.sites import SqlSites
from postroom.storage.statements import Connection, Statement, columns_of, given
from postroom.storage.tables import messages, sites, threads, turns
from postroom.storage.types import EPOCH

_DUE: ColumnClause[str] = literal_column("'due'")
_NOW = bindparam("now", type_=messages.c.due_at.type)
_earlier = messages.alias("earlier")
_is_oldest = ~exists().where(
    _earlier.c.thread_id == messages.c.thread_id, _earlier.c.state == _DUE, _earlier.c.seq < messages.c.seq
)
_site_answers = exists().where(sites.c.id == threads.c.site_id, sites.c.paused == false())

_DUE_THREADS = Statement(
    by_turns(
        select(threads.c.site_id, messages.c.thread_id.label("id"), messages.c.due_at.label("at"))
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
    )
)
_oldest_due = (
    select(messages.c.id)
    .where(messages.c.thread_id == threads.c.id, messages.c.state == _DUE)
    .order_by(messages.c.seq)
    .limit(1)
)
_this_due = select(messages.c.id).where(
    messages.c.id == bindparam("message"), messages.c.thread_id == threads.c.id, messages.c.state == _DUE
)


def _take_for(message: Select[Any], *conditions: ColumnElement[bool]) -> Statement:
    # Not SKIP LOCKED: the row is only ever locked for the length of a short write, and a claim that gave up
    # on one would leave its bell unheard until the next sweep.
    wanted = (threads.c.id == bindparam("thread"), threads.c.paused == "", free(threads), _site_answers)
    return Statement(
        take(threads)
        .values(lease_message=message.scalar_subquery())
        .where(*wanted, *conditions)
        .returning(
            *THREAD_COLUMNS,
            threads.c.lease_owner,
            threads.c.lease_token,
            threads.c.lease_until,
            threads.c.lease_message,
        )
    )


_TAKE = _take_for(
    _oldest_due,
    exists().where(
        messages.c.thread_id == threads.c.id, messages.c.state == _DUE, messages.c.due_at <= _NOW, _is_oldest
    ),
)
_TAKE_FOR_THIS = _take_for(_this_due, _this_due.exists())
_CLAIMED = Statement(select_messages().where(messages.c.id == bindparam("message"), messages.c.state == _DUE))
_CONVERSATION = Statement(
    select_messages().where(messages.c.thread_id == bindparam("thread")).order_by(messages.c.seq)
)
_claimed_message = select(threads.c.lease_message).where(ours(threads)).with_for_update().scalar_subquery()
_COUNT_ATTEMPT = Statement(
    update(messages).where(messages.c.id == _claimed_message).values(attempts=messages.c.attempts + 1)
)
_PAUSE = bindparam("b_pause", type_=threads.c.paused.type)
_version = select(sites.c.version).where(sites.c.id == threads.c.site_id).scalar_subquery().label("version")
_GIVE_BACK = Statement(
    update(threads)
    .where(ours(threads))
    .values(
        **given_back(),
        paused=case((_PAUSE != "", _PAUSE), else_=threads.c.paused),
        **grown(bindparam("b_added"), bindparam("b_at", type_=threads.c.last_at.type)),
    )
    .returning(threads.c.lease_message, _version)
)
_END = Statement(
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
    .returning(messages.c.trust, messages.c.sender)
)
_ANOTHER_DUE = Statement(
    select(messages.c.id)
    .where(
        messages.c.thread_id == bindparam("thread"),
        messages.c.state == _DUE,
        messages.c.id != bindparam("message"),
    )
    .limit(1)
)
_SHORT = 20
_TURN_FIELDS = [column.name for column in turns.c if column.name not in ("id", "site_id")]


class SqlAnswering:
    """`core.store.Answering` on a database."""

    def __init__(self, database: Database, sites: SqlSites) -> None:
        self._database = database
        self._sites = sites
        self._leases = Leases(threads)
        self._filing = Filing(database.dialect)
        self._sending = Sending(database.dialect)
        statement = database.dialect.insert(turns).values(given(*columns_of(turns)))
        self._put_turn = Statement(
            statement.on_conflict_do_update(
                index_elements=["id"], set_={name: statement.excluded[name] for name in _TURN_FIELDS}
            )
        )

    async def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        """`Answering.due`."""
        rows = await self._database.read(lambda c: c.all(_DUE_THREADS, looked(now, limit)))
        return tuple(Due(row.site_id, row.id) for row in rows)

    async def claim(
        self, thread_id: str, owner: str, now: datetime, until: datetime, message_id: str | None = None
    ) -> AnswerWork | None:
        """`Answering.claim`."""
        taking = _TAKE if message_id is None else _TAKE_FOR_THIS
        wanted = {"thread": thread_id, "owner": owner, "now": now, "until": until, "message": message_id}

        def work(connection: Connection) -> AnswerWork | None:
            row = connection.first(taking, wanted)
            if row is None:
                return None
            claim = claim_of(row)
            message = connection.first(_CLAIMED, {"message": row.lease_message})
            site = self._sites.find(connection, row.site_id)
            if (
                message is None or site is None
            ):  # settled by another between the statement's look and its lock
                connection.first(_GIVE_BACK, claim_values(claim) | _give_back_values("", None))
                return None
            return self._work(connection, claim, thread_of(row), message_of(message), site, now)

        return await self._database.brief("answer-claim", work)

    def _work(
        self,
        connection: Connection,
        claim: Claim,
        thread: Thread,
        message: Message,
        site: Site,
        now: datetime,
    ) -> AnswerWork:
        conversation: tuple[Message, ...] | None = (message,)
        if thread.messages > 1:
            conversation = _conversation(connection, thread.id) if thread.messages <= _SHORT else None
        counts = None
        if message.sender is not None and site.settings.caps.any:
            correspondent = normalise(message.sender.address)
            counts = answer_counts(connection, site.id, thread.id, correspondent, now)
        return AnswerWork(claim, thread, message, site, conversation, counts)

    async def renew(self, claim: Claim, until: datetime) -> Claim:
        """`Answering.renew`."""
        await self._database.brief("answer-renew", lambda c: self._leases.renew(c, claim, until))
        return replace(claim, until=until)

    async def conversation(self, thread_id: str) -> tuple[Message, ...]:
        """`Answering.conversation`."""
        return await self._database.read(lambda c: _conversation(c, thread_id))

    async def counts(self, site_id: str, thread_id: str, correspondent: str, now: datetime) -> AnswerCounts:
        """`Answering.counts`."""
        return await self._database.read(lambda c: answer_counts(c, site_id, thread_id, correspondent, now))

    async def begin(self, claim: Claim, turn: TurnRecord) -> None:
        """`Answering.begin`."""

        def work(connection: Connection) -> None:
            write(connection, _COUNT_ATTEMPT, claim_values(claim))
            connection.run(self._put_turn, turn_values(turn))

        await self._database.brief("turn-begin", work)

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """`Answering.settle`."""
        is_light = settlement.sent is None or light(settlement.sent)
        settling = self._database.brief if is_light else self._database.write
        return await settling("settle", lambda c: self._settle(c, claim, settlement))

    def _settle(self, connection: Connection, claim: Claim, settlement: Settlement) -> Settled:
        given = _give_back_values(settlement.pause, settlement.sent)
        row = connection.first(_GIVE_BACK, claim_values(claim) | given)
        if row is None:
            raise lost()
        question = connection.first(_END, _end_values(row.lease_message, settlement))
        if settlement.submission is not None:
            self._sending.add(connection, settlement.submission, settlement.sending, question)
        if settlement.sent is not None:
            self._filing.add_alone(connection, settlement.sent)
        if settlement.turn is not None:
            connection.run(self._put_turn, turn_values(settlement.turn))
        add_events(connection, settlement.events)
        # A statement of its own, so that it sees what came while the row was waited for. What comes from now
        # on waits for us, and then rings.
        others = {"thread": claim.id, "message": row.lease_message}
        return Settled(connection.first(_ANOTHER_DUE, others) is not None, row.version)


def _conversation(connection: Connection, thread_id: str) -> tuple[Message, ...]:
    return tuple(message_of(row) for row in connection.all(_CONVERSATION, {"thread": thread_id}))


def _give_back_values(pause: str, sent: Message | None) -> dict[str, Any]:
    return {"b_pause": pause, "b_added": int(sent is not None), "b_at": sent.received_at if sent else EPOCH}


def _end_values(message_id: str, settlement: Settlement) -> dict[str, Any]:
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
