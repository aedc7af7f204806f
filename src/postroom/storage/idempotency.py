"""Idempotency keys of write calls."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from postroom.core.errors import Conflict
from postroom.core.registry import Reservation
from postroom.storage.database import Database
from postroom.storage.statements import Connection, Row, Statement, columns_of, given
from postroom.storage.tables import idempotency
from postroom.storage.types import index_key

_KEPT = timedelta(hours=48)
_this = (idempotency.c.scope == bindparam("b_scope")) & (idempotency.c.key == bindparam("b_key"))
_PURGE = Statement(
    delete(idempotency).where(
        idempotency.c.created_at < bindparam("b_before", type_=idempotency.c.created_at.type)
    )
)
_FIND = Statement(select(idempotency).where(_this).with_for_update())
_TAKE_OVER = Statement(update(idempotency).where(_this).values(until=bindparam("b_until")))
_FINISH = Statement(
    update(idempotency)
    .where(_this)
    .values(state="done", status=bindparam("b_status"), body=bindparam("b_body"))
)
_RELEASE = Statement(
    update(idempotency)
    .where(
        idempotency.c.created_at >= bindparam("b_since", type_=idempotency.c.created_at.type),
        idempotency.c.state == "running",
        idempotency.c.until > bindparam("b_now", type_=idempotency.c.until.type),
    )
    .values(until=bindparam("b_now", type_=idempotency.c.until.type))
)
_ABANDON = Statement(delete(idempotency).where(_this, idempotency.c.state == "running"))


class SqlIdempotency:
    """`core.registry.Idempotency` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        reserving = database.dialect.insert(idempotency).values(given(*columns_of(idempotency)))
        self._reserve = Statement(reserving.on_conflict_do_nothing())

    async def begin(
        self, scope: str, key: str, body_hash: str, resource_id: str, now: datetime, until: datetime
    ) -> Reservation:
        """`Idempotency.begin`. Keys of more than 48 hours are forgotten on the way."""
        fresh = {
            "scope": index_key(scope),
            "key": index_key(key),
            "body_hash": body_hash,
            "resource_id": resource_id,
            "state": "running",
            "status": 0,
            "body": "",
            "until": until,
            "created_at": now,
        }

        def work(connection: Connection) -> Reservation:
            connection.run(_PURGE, {"b_before": now - _KEPT})
            if connection.count(self._reserve, fresh) == 1:
                return Reservation("fresh", resource_id)
            row = connection.first(_FIND, _named(scope, key))
            if row is None:
                raise Conflict("the first call with this key was just given up: try again")
            return _replayed(connection, row, body_hash, now, until)

        return await self._database.write("idempotency-begin", work)

    async def finish(self, scope: str, key: str, status: int, body: str) -> None:
        """`Idempotency.finish`."""
        values = _named(scope, key) | {"b_status": status, "b_body": body}
        await self._database.write("idempotency-finish", lambda c: c.run(_FINISH, values))

    async def abandon(self, scope: str, key: str) -> None:
        """`Idempotency.abandon`: only while the call has no answer yet."""
        await self._database.write("idempotency-abandon", lambda c: c.run(_ABANDON, _named(scope, key)))

    async def release(self, now: datetime) -> None:
        """`Idempotency.release`."""
        values = {"b_since": now - _KEPT, "b_now": now}
        await self._database.write("idempotency-release", lambda c: c.run(_RELEASE, values))


def _replayed(
    connection: Connection, row: Row, body_hash: str, now: datetime, until: datetime
) -> Reservation:
    if row.body_hash != body_hash:
        return Reservation("other_body", row.resource_id)
    if row.state == "done":
        return Reservation("done", row.resource_id, row.status, row.body)
    if row.until > now:
        return Reservation("running", row.resource_id)
    connection.run(_TAKE_OVER, {"b_scope": row.scope, "b_key": row.key, "b_until": until})
    return Reservation("fresh", row.resource_id)


def _named(scope: str, key: str) -> dict[str, Any]:
    return {"b_scope": index_key(scope), "b_key": index_key(key)}
