"""API keys, by hash."""

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from postroom.core.model import ApiKey
from postroom.storage.database import Database
from postroom.storage.statements import Connection, Row, Statement, given
from postroom.storage.tables import keys

_FIELDS = ["id", "label", "site_id", "created_at", "last_used_at", "revoked_at"]
_COLUMNS = [keys.c[name] for name in _FIELDS]
_REPLACED = Statement(delete(keys).where(keys.c.key_hash == bindparam("hash")))
_ADD = Statement(insert(keys).inline().values(given(*_FIELDS, "key_hash")))
_FIND = Statement(select(*_COLUMNS).where(keys.c.key_hash == bindparam("hash"), keys.c.revoked_at.is_(None)))
_LIST = Statement(select(*_COLUMNS).order_by(keys.c.created_at, keys.c.id))
_USED = Statement(update(keys).where(keys.c.id == bindparam("b_id")).values(last_used_at=bindparam("b_at")))
_REVOKE = Statement(
    update(keys)
    .where(keys.c.id == bindparam("b_id"), keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("b_at"))
)


class SqlKeys:
    """`core.registry.Keys` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey, key_hash: str) -> None:
        """`Keys.add`. Raises `NotFound` for a key of a site that is not there."""
        values = {name: getattr(key, name) for name in _FIELDS} | {"key_hash": key_hash}

        def work(connection: Connection) -> None:
            connection.run(_REPLACED, {"hash": key_hash})
            connection.run(_ADD, values)

        await self._database.write("key-add", work)

    async def find(self, key_hash: str, now: datetime) -> ApiKey | None:
        """`Keys.find`."""
        row = await self._database.read(lambda c: c.first(_FIND, {"hash": key_hash}))
        if row is None:
            return None
        minute = now.replace(second=0, microsecond=0)
        if row.last_used_at is None or row.last_used_at < minute:
            used = {"b_id": row.id, "b_at": minute}
            await self._database.write("key-used", lambda c: c.run(_USED, used))
        return _key_of(row)

    async def list(self) -> tuple[ApiKey, ...]:
        """`Keys.list`."""
        rows = await self._database.read(lambda c: c.all(_LIST))
        return tuple(_key_of(row) for row in rows)

    async def revoke(self, key_id: str, now: datetime) -> bool:
        """`Keys.revoke`."""
        values = {"b_id": key_id, "b_at": now}
        return await self._database.write("key-revoke", lambda c: c.count(_REVOKE, values) > 0)


def _key_of(row: Row) -> ApiKey:
    return ApiKey(*row)
