"""API keys, by hash."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from postroom.core.model import ApiKey
from postroom.storage.database import Database
from postroom.storage.tables import keys

_COLUMNS = [keys.c[name] for name in ["id", "label", "site_id", "created_at", "last_used_at", "revoked_at"]]
_ADD = insert(keys).inline()
_REPLACED = delete(keys).where(keys.c.key_hash == bindparam("hash"))
_FIND = select(*_COLUMNS).where(keys.c.key_hash == bindparam("hash"), keys.c.revoked_at.is_(None))
_LIST = select(*_COLUMNS).order_by(keys.c.created_at, keys.c.id)
_USED = update(keys).where(keys.c.id == bindparam("b_id")).values(last_used_at=bindparam("b_at"))
_REVOKE = (
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
        values = {column.name: getattr(key, column.name) for column in _COLUMNS} | {"key_hash": key_hash}

        def work(connection: Connection) -> None:
            connection.execute(_REPLACED, {"hash": key_hash})
            connection.execute(_ADD, values)

        await self._database.write("key-add", work)

    async def find(self, key_hash: str, now: datetime) -> ApiKey | None:
        """`Keys.find`."""
        row = await self._database.read(lambda c: c.execute(_FIND, {"hash": key_hash}).first())
        if row is None:
            return None
        minute = now.replace(second=0, microsecond=0)
        if row.last_used_at is None or row.last_used_at < minute:
            used = {"b_id": row.id, "b_at": minute}
            await self._database.write("key-used", lambda c: c.execute(_USED, used))
        return _key_of(row)

    async def list(self) -> tuple[ApiKey, ...]:
        """`Keys.list`."""
        rows = await self._database.read(lambda c: c.execute(_LIST).all())
        return tuple(_key_of(row) for row in rows)

    async def revoke(self, key_id: str, now: datetime) -> bool:
        """`Keys.revoke`."""
        values = {"b_id": key_id, "b_at": now}
        return await self._database.write("key-revoke", lambda c: bool(c.execute(_REVOKE, values).rowcount))


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(*row[: len(_COLUMNS)])
