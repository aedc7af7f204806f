"""What keeps storage small: forgetting what is old and finished, and telling which blobs are needed."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Delete,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from postroom.core.model import Direction, MessageState
from postroom.core.registry import Forgotten
from postroom.core.submission import SubmissionStatus
from postroom.storage.database import Database
from postroom.storage.dialect import among
from postroom.storage.filing import storable
from postroom.storage.rows import recipients_of
from postroom.storage.statements import Connection, Row, Statement, given
from postroom.storage.tables import (
    answered,
    attachments,
    cursors,
    events,
    facts,
    messages,
    parties,
    places,
    replied,
    sites,
    submissions,
    threads,
    turns,
)
from postroom.storage.types import microseconds

BATCH = 200
_SITE: BindParameter[str] = bindparam("site")
_BEFORE = bindparam("before", type_=messages.c.received_at.type)
_LIMIT: BindParameter[int] = bindparam("limit")

_open = or_(
    submissions.c.status == SubmissionStatus.QUEUED.value,
    submissions.c.status == SubmissionStatus.TRANSMITTING.value,
    submissions.c.status == SubmissionStatus.UNKNOWN.value,
    submissions.c.aftercare == "due",
)


def _piece(table: Table, *old: ColumnElement[bool]) -> Delete:
    own = tuple(table.primary_key.columns)
    some = select(*own).where(table.c.site_id == _SITE, *old).limit(_LIMIT)
    return delete(table).where(own[0].in_(some) if len(own) == 1 else tuple_(*own).in_(some))


_RECORDS = [
    Statement(_piece(events, events.c.at < _BEFORE)),
    Statement(
        _piece(
            turns, turns.c.started_at < _BEFORE, turns.c.outcome != "running", turns.c.outcome != "waiting"
        )
    ),
]
_REPLIED = Statement(delete(replied).where(replied.c.site_id == _SITE, replied.c.at < _BEFORE))

_SUBMISSIONS = Statement(
    select(submissions.c.id, submissions.c.thread_id, submissions.c.recipients)
    .where(
        submissions.c.site_id == _SITE,
        submissions.c.created_at < _BEFORE,
        func.coalesce(submissions.c.finished_at, submissions.c.created_at) < _BEFORE,
        not_(_open),
    )
    .order_by(submissions.c.created_at, submissions.c.id)
    .limit(_LIMIT)
)
_DROP_SUBMISSIONS = Statement(delete(submissions).where(among(submissions.c.id, "ids")))
_PARTIES = Statement(select(parties.c.address).where(among(parties.c.thread_id, "threads")))
_DROP_ANSWERED = Statement(
    delete(answered).where(
        answered.c.site_id == _SITE,
        among(answered.c.address, "addresses"),
        among(answered.c.submission_id, "ids"),
    )
)

_PAGE = Statement(
    select(
        messages.c.seq,
        messages.c.id,
        messages.c.thread_id,
        messages.c.direction,
        messages.c.state,
        messages.c.received_at,
        messages.c.raw,
        messages.c.message_key,
        messages.c.answered_by,
    )
    .where(messages.c.site_id == _SITE, messages.c.seq > bindparam("place"))
    .order_by(messages.c.seq)
    .limit(_LIMIT)
)
_STORED_SUBMISSIONS = Statement(
    select(submissions.c.message_key).where(
        submissions.c.site_id == _SITE, among(submissions.c.message_key, "keys")
    )
)
_OPEN_ANSWERS = Statement(select(submissions.c.id).where(among(submissions.c.id, "ids"), _open))

_FORGOTTEN_BEFORE = Statement(
    update(sites)
    .where(sites.c.id == _SITE, or_(sites.c.forgotten_before.is_(None), sites.c.forgotten_before < _BEFORE))
    .values(forgotten_before=_BEFORE)
)
_FLOORS = Statement(
    select(places.c.mailbox, places.c.uidvalidity, (func.max(places.c.uid) + 1).label("floor"))
    .where(among(places.c.message_id, "ids"))
    .group_by(places.c.mailbox, places.c.uidvalidity)
)
_FORGOTTEN_BELOW = Statement(
    update(cursors)
    .where(
        cursors.c.site_id == bindparam("b_site"),
        cursors.c.mailbox == bindparam("b_mailbox"),
        cursors.c.uidvalidity == bindparam("b_uidvalidity"),
        cursors.c.forgotten_below < bindparam("b_floor"),
    )
    .values(forgotten_below=bindparam("b_floor"))
)
_OF_MESSAGES = [
    Statement(delete(attachments).where(among(attachments.c.message_id, "ids"))),
    Statement(delete(places).where(among(places.c.message_id, "ids"))),
    Statement(delete(messages).where(among(messages.c.id, "ids"))),
]
_SHRINK_THREAD = Statement(
    update(threads)
    .where(threads.c.id == bindparam("b_thread"))
    .values(messages=threads.c.messages - bindparam("b_gone"))
)
_EMPTY_THREADS = Statement(
    select(threads.c.id).where(
        among(threads.c.id, "threads"),
        threads.c.lease_owner.is_(None),
        ~exists().where(messages.c.thread_id == threads.c.id),
        ~exists().where(submissions.c.thread_id == threads.c.id),
    )
)
_OF_THREADS = [
    Statement(delete(parties).where(among(parties.c.thread_id, "threads"))),
    Statement(delete(threads).where(among(threads.c.id, "threads"))),
]
_REFERRED = Statement(select(messages.c.raw).where(among(messages.c.raw, "digests")))

_TAKE_TURN = Statement(
    update(facts)
    .where(and_(facts.c.name == bindparam("b_name"), facts.c.value <= bindparam("b_limit")))
    .values(value=bindparam("b_value"))
)


class SqlUpkeep:
    """`core.registry.Upkeep` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        adding = database.dialect.insert(facts).values(given("name", "value"))
        self._first_turn = Statement(adding.on_conflict_do_nothing())

    async def turn(self, name: str, now: datetime, every: timedelta) -> bool:
        """`Upkeep.turn`."""
        fact = f"turn:{name}"
        taking = {"b_name": fact, "b_value": _sortable(now), "b_limit": _sortable(now - every)}

        def work(connection: Connection) -> bool:
            first = {"name": fact, "value": _sortable(now)}
            return bool(connection.count(self._first_turn, first) or connection.count(_TAKE_TURN, taking))

        return await self._database.write("turn", work)

    async def forget(self, site_id: str, before: datetime, place: int) -> Forgotten:
        """`Upkeep.forget`: records and submissions first, so that no message goes before its submission."""
        wanted = {"site": site_id, "before": before, "place": place, "limit": BATCH}

        def work(connection: Connection) -> Forgotten:
            # Intake waits meanwhile: what it says of a site's messages stays true.
            self._database.dialect.serialise(connection, f"site:{site_id}")
            rows = sum(connection.count(statement, wanted) for statement in _RECORDS)
            rows += _forget_submissions(connection, wanted)
            return Forgotten(rows, (), place) if rows else _forget_messages(connection, wanted)

        return await self._database.write("forget", work)

    async def unreferred(self, digests: Collection[str]) -> tuple[str, ...]:
        """`Upkeep.unreferred`."""
        return await self._database.read(lambda c: unreferred(c, digests))


def unreferred(connection: Connection, digests: Collection[str]) -> tuple[str, ...]:
    """Those of the digests that no message refers to. The bytes of a submission are its own message's."""
    wanted = sorted(digest for digest in set(digests) if digest)
    needed = set(connection.scalars(_REFERRED, {"digests": wanted})) if wanted else set()
    return tuple(digest for digest in wanted if digest not in needed)


def _forget_submissions(connection: Connection, wanted: dict[str, Any]) -> int:
    rows = connection.all(_SUBMISSIONS, wanted)
    if not rows:
        return 0
    ids = [row.id for row in rows]
    recipients = storable(r.address for row in rows for r in recipients_of(row.recipients))
    taking_part = connection.scalars(_PARTIES, {"threads": {row.thread_id for row in rows}})
    correspondents = {"addresses": {*recipients, *taking_part}, "ids": ids}
    connection.run(_DROP_ANSWERED, wanted | correspondents)
    connection.run(_DROP_SUBMISSIONS, {"ids": ids})
    return len(rows)


def _forget_messages(connection: Connection, wanted: dict[str, Any]) -> Forgotten:
    page = connection.all(_PAGE, wanted)
    old = [row for row in page if row.received_at < wanted["before"]]
    doomed = _without_needed(connection, wanted["site"], old)
    if doomed:
        connection.run(_FORGOTTEN_BEFORE, wanted)
        _raise_floors(connection, wanted["site"], doomed)
        _delete_messages(connection, doomed)
    # Mail is stored in about the order of its age: after a page without any that is old there is none.
    more = bool(old) and len(page) == BATCH
    if not more:
        connection.run(_REPLIED, wanted)
    blobs = unreferred(connection, {row.raw for row in doomed})
    return Forgotten(len(doomed), blobs, page[-1].seq if more else None)


def _without_needed(connection: Connection, site_id: str, old: Sequence[Row]) -> list[Row]:
    """What is neither due, nor an outgoing message that has its submission, nor being answered now."""
    sent = {row.message_key for row in old if row.direction == Direction.OUT.value}
    answers = {row.answered_by for row in old if row.answered_by}
    kept = set(connection.scalars(_STORED_SUBMISSIONS, {"site": site_id, "keys": sent})) if sent else set()
    going_out = set(connection.scalars(_OPEN_ANSWERS, {"ids": answers})) if answers else set()
    return [
        row
        for row in old
        if row.state != MessageState.DUE.value
        and not (row.direction == Direction.OUT.value and row.message_key in kept)
        and row.answered_by not in going_out
    ]


def _raise_floors(connection: Connection, site_id: str, doomed: Sequence[Row]) -> None:
    for row in connection.all(_FLOORS, {"ids": [message.id for message in doomed]}):
        place = {"b_mailbox": row.mailbox, "b_uidvalidity": row.uidvalidity, "b_floor": row.floor}
        connection.run(_FORGOTTEN_BELOW, place | {"b_site": site_id})


def _delete_messages(connection: Connection, doomed: Sequence[Row]) -> None:
    for statement in _OF_MESSAGES:
        connection.run(statement, {"ids": [message.id for message in doomed]})
    touched = [message.thread_id for message in doomed]
    connection.run_many(
        _SHRINK_THREAD, [{"b_thread": t, "b_gone": touched.count(t)} for t in sorted(set(touched))]
    )
    empty = connection.scalars(_EMPTY_THREADS, {"threads": set(touched)})
    if empty:
        for statement in _OF_THREADS:
            connection.run(statement, {"threads": empty})


def _sortable(moment: datetime) -> str:
    return f"{microseconds(moment):020d}"
