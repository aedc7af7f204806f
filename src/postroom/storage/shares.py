"""Shares accounts among workers: heartbeats, and who holds which account."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    BindParameter,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from postroom.core.shares import HeldSite, Holding, Round, Worker, WorkerSeen, fair_shares, fenced_off
from postroom.storage.database import Database
from postroom.storage.dialect import among
from postroom.storage.statements import Connection, Row, Statement, given
from postroom.storage.tables import sites, submissions
from postroom.storage.tables_workers import holdings, workers

REMEMBERED = timedelta(minutes=10)
"""For how long dead workers are still shown."""

_NOW = bindparam("now", type_=workers.c.seen_until.type)
_UNTIL = bindparam("until", type_=workers.c.seen_until.type)
_SINCE = bindparam("since", type_=workers.c.seen_at.type)
_OWNER: BindParameter[str] = bindparam("owner")
_LIVES = workers.c.seen_until > _NOW
_WITH_ACCOUNT = sites.c.account_since.is_not(None)
_COLUMNS = [column.name for column in workers.c]

_JOIN = Statement(insert(workers).inline().values(given(*_COLUMNS)))
_GONE = Statement(delete(workers).where(workers.c.id == _OWNER))
_FORGET = Statement(delete(workers).where(workers.c.seen_until <= _NOW))
_GIVE_ALL = Statement(update(holdings).where(holdings.c.owner == _OWNER).values(owner=null()))
_RENEW = Statement(
    update(workers).where(workers.c.id == _OWNER, _LIVES).values(seen_at=_NOW, seen_until=_UNTIL)
)
_RELEASE = Statement(
    update(holdings)
    .where(
        holdings.c.site_id == bindparam("b_site"),
        holdings.c.owner == bindparam("b_owner"),
        holdings.c.token == bindparam("b_token"),
    )
    .values(owner=null())
)
_ACCOUNTS = Statement(select(func.count()).select_from(sites).where(_WITH_ACCOUNT))
_HELD = Statement(
    select(workers.c.id, func.count(holdings.c.site_id))
    .select_from(workers.outerjoin(holdings, holdings.c.owner == workers.c.id))
    .where(_LIVES, or_(workers.c.id == _OWNER, workers.c.seen_at > _SINCE))
    .group_by(workers.c.id)
)
# Rows that are locked are passed by: who was stopped in the middle of something must not hold up the others.
_FREED = Statement(
    select(holdings.c.site_id)
    .join(sites, sites.c.id == holdings.c.site_id)
    .where(
        _WITH_ACCOUNT,
        or_(
            holdings.c.owner.is_(None),
            ~exists().where(workers.c.id == holdings.c.owner, _LIVES),
        ),
    )
    .order_by(holdings.c.site_id)
    .limit(bindparam("limit"))
    .with_for_update(of=holdings, skip_locked=True)
)
_TAKE = Statement(
    update(holdings)
    .where(among(holdings.c.site_id, "freed"))
    .values(owner=bindparam("b_owner"), token=holdings.c.token + 1)
)
_new = (
    select(sites.c.id, bindparam("owner", type_=holdings.c.owner.type), literal(1))
    .where(_WITH_ACCOUNT, ~exists().where(holdings.c.site_id == sites.c.id))
    .order_by(sites.c.id)
    .limit(bindparam("limit"))
)
_TAKE_NEW = Statement(insert(holdings).inline().from_select(["site_id", "owner", "token"], _new))
_MINE = Statement(
    select(holdings.c.site_id, holdings.c.token, sites.c.version, _WITH_ACCOUNT.label("account"))
    .join(sites, sites.c.id == holdings.c.site_id)
    .where(holdings.c.owner == _OWNER)
    .order_by(holdings.c.site_id)
)
# What is ours is lost only when all of it may be, and gained only by taking: then, and when a version grows,
# one of these differs.
_STAND = Statement(
    select(func.count(), func.coalesce(func.sum(sites.c.version), 0), func.count(sites.c.account_since))
    .select_from(holdings.join(sites, sites.c.id == holdings.c.site_id))
    .where(holdings.c.owner == _OWNER)
)
_CARE = Statement(
    select(holdings.c.site_id).where(
        holdings.c.owner == _OWNER,
        exists().where(
            submissions.c.site_id == holdings.c.site_id, submissions.c.aftercare == literal_column("'due'")
        ),
    )
)
_WORKERS = Statement(
    select(*workers.c, _LIVES.label("live"), func.count(holdings.c.site_id).label("accounts"))
    .select_from(workers.outerjoin(holdings, holdings.c.owner == workers.c.id))
    .group_by(*workers.c)
    .order_by(workers.c.started_at, workers.c.id)
)


class SqlShares:
    """`core.shares.Shares` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(self, worker: Worker, now: datetime, until: datetime) -> None:
        """`Shares.join`."""
        values = {
            "id": worker.id,
            "host": worker.host,
            "role": worker.role,
            "started_at": worker.started_at,
            "seen_at": now,
            "seen_until": until,
        }

        def work(connection: Connection) -> None:
            _give_up_all(connection, worker.id)
            connection.run(_JOIN, values)

        await self._database.write("worker-join", work)

    async def renew(self, worker_id: str, now: datetime, until: datetime) -> None:
        """`Shares.renew`."""
        values = {"owner": worker_id, "now": now, "until": until}

        def work(connection: Connection) -> None:
            if not connection.count(_RENEW, values):
                raise fenced_off()

        await self._database.write("worker-renew", work)

    async def round(self, worker_id: str, now: datetime, seen_since: datetime, stand: str = "") -> Round:
        """`Shares.round`. One worker at a time takes; who finds another at it takes with its next round."""

        values = {"owner": worker_id, "now": now, "since": seen_since}

        def work(connection: Connection) -> Round:
            taking = self._database.dialect.serialise_now(connection, "shares")
            if taking:
                connection.run(_FORGET, {"now": now - REMEMBERED})
            held = {row[0]: row[1] for row in connection.all(_HELD, values)}
            if worker_id not in held:
                raise fenced_off()
            share = fair_shares(held, connection.scalar(_ACCOUNTS))[worker_id]
            taken = taking and _take(connection, worker_id, now, share - held[worker_id])
            (stands,) = connection.all(_STAND, {"owner": worker_id})
            now_stands = ":".join(map(str, stands))
            mine = None if now_stands == stand and not taken else _mine(connection, worker_id)
            care = connection.scalars(_CARE, {"owner": worker_id})
            return Round(mine, now_stands, share, frozenset(care))

        return await self._database.write("worker-round", work)

    async def release(self, holdings: Sequence[Holding]) -> None:
        """`Shares.release`."""
        rows = [{"b_site": h.site_id, "b_owner": h.owner, "b_token": h.token} for h in holdings]
        rows.sort(key=lambda row: str(row["b_site"]))
        await self._database.write("worker-release", lambda c: c.run_many(_RELEASE, rows))

    async def leave(self, worker_id: str) -> None:
        """`Shares.leave`."""
        await self._database.write("worker-leave", lambda c: _give_up_all(c, worker_id))

    async def workers(self, now: datetime) -> tuple[WorkerSeen, ...]:
        """`Shares.workers`."""
        rows = await self._database.read(lambda c: c.all(_WORKERS, {"now": now}))
        return tuple(_seen(row) for row in rows)


def _give_up_all(connection: Connection, worker_id: str) -> None:
    connection.run(_GIVE_ALL, {"owner": worker_id})
    connection.run(_GONE, {"owner": worker_id})


def _take(connection: Connection, worker_id: str, now: datetime, number: int) -> bool:
    """Take so many at most; whether there were any."""
    if number <= 0:
        return False
    freed = connection.scalars(_FREED, {"now": now, "limit": number})
    if freed:
        connection.run(_TAKE, {"b_owner": worker_id, "freed": freed})
    new = 0
    if len(freed) < number:
        new = connection.count(_TAKE_NEW, {"owner": worker_id, "limit": number - len(freed)})
    return bool(freed or new)


def _mine(connection: Connection, worker_id: str) -> tuple[HeldSite, ...]:
    rows = connection.all(_MINE, {"owner": worker_id})
    return tuple(
        HeldSite(Holding(row.site_id, worker_id, row.token), row.version, bool(row.account)) for row in rows
    )


def _seen(row: Row) -> WorkerSeen:
    worker = Worker(row.id, row.host, row.role, row.started_at)
    return WorkerSeen(worker, row.seen_at, bool(row.live), row.accounts if row.live else 0)
