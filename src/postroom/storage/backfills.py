"""How far backfills have come, and who works on which."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from postroom.core.backfills import BackfillRecord
from postroom.core.model import Claim
from postroom.storage.database import Database
from postroom.storage.leases import claim_values, free, given_back, take, write
from postroom.storage.statements import Connection, Statement, given
from postroom.storage.tables_backfills import backfills

_FIELDS = [field.name for field in fields(BackfillRecord)]
_NOTED = [name for name in _FIELDS if name != "site_id"]
_FIND = Statement(
    select(*(backfills.c[name] for name in _FIELDS)).where(backfills.c.site_id == bindparam("site"))
)
_TAKE = Statement(
    take(backfills)
    .where(backfills.c.site_id == bindparam("site"), free(backfills))
    .returning(backfills.c.lease_token)
)
_ours = (
    (backfills.c.site_id == bindparam("b_id"))
    & (backfills.c.lease_token == bindparam("b_token"))
    & (backfills.c.lease_owner == bindparam("b_owner"))
)
_NOTE = Statement(
    update(backfills)
    .where(_ours)
    .values({name: bindparam(f"b_{name}", type_=backfills.c[name].type) for name in _NOTED})
)
_RENEW = Statement(
    update(backfills)
    .where(_ours)
    .values(lease_until=bindparam("b_until", type_=backfills.c.lease_until.type))
)
_RELEASE = Statement(update(backfills).where(_ours).values(**given_back()))


class SqlBackfills:
    """`core.backfills.Backfills` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add = Statement(
            database.dialect.insert(backfills).values(given(*_FIELDS)).on_conflict_do_nothing()
        )

    async def find(self, site_id: str) -> BackfillRecord | None:
        """`Backfills.find`."""
        return await self._database.read(lambda c: _find(c, site_id))

    async def begin(
        self, site_id: str, since: datetime, owner: str, now: datetime, until: datetime
    ) -> tuple[Claim, BackfillRecord] | None:
        """`Backfills.begin`."""
        fresh = BackfillRecord(site_id, since, now, now)
        taking = {"site": site_id, "owner": owner, "now": now, "until": until}

        def work(connection: Connection) -> tuple[Claim, BackfillRecord] | None:
            connection.run(self._add, _values(fresh))
            token = connection.scalar(_TAKE, taking)
            if token is None:
                return None
            claim = Claim(site_id, site_id, owner, token, until)
            record = _continued(_find(connection, site_id) or fresh, fresh)
            _note(connection, claim, record)
            return claim, record

        return await self._database.write("backfill-begin", work)

    async def renew(self, claim: Claim, until: datetime) -> Claim:
        """`Backfills.renew`."""
        values = claim_values(claim) | {"b_until": until}
        await self._database.write("backfill-renew", lambda c: write(c, _RENEW, values))
        return replace(claim, until=until)

    async def note(self, claim: Claim, record: BackfillRecord) -> None:
        """`Backfills.note`."""
        await self._database.write("backfill-note", lambda c: _note(c, claim, record))

    async def release(self, claim: Claim) -> None:
        """`Backfills.release`."""
        await self._database.write("backfill-release", lambda c: c.run(_RELEASE, claim_values(claim)))


def _find(connection: Connection, site_id: str) -> BackfillRecord | None:
    row = connection.first(_FIND, {"site": site_id})
    return None if row is None else BackfillRecord(**row._asdict())


def _note(connection: Connection, claim: Claim, record: BackfillRecord) -> None:
    noted = {f"b_{name}": value for name, value in _values(record).items()}
    write(connection, _NOTE, claim_values(claim) | noted)


def _continued(before: BackfillRecord, fresh: BackfillRecord) -> BackfillRecord:
    """What was not finished goes on, the bounds as they are now; what was read today counts all the same."""
    if before.finished_at is None:
        return replace(before, since=fresh.since, updated_at=fresh.updated_at)
    return replace(fresh, window_at=before.window_at, window_octets=before.window_octets)


def _values(record: BackfillRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _FIELDS}
