"""Deletes a site with all that belongs to it: secrets first, then in pieces small enough for others to work
in between, at last the rest in one transaction with the site itself."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Delete, Table, bindparam, delete, func, literal, select, tuple_

from postroom.storage.database import Database
from postroom.storage.statements import Connection, Statement, Values
from postroom.storage.tables import (
    accounts,
    addresses,
    answered,
    attachments,
    contacts,
    cursors,
    events,
    idempotency,
    keys,
    messages,
    parties,
    places,
    replied,
    sites,
    submissions,
    threads,
    tokens,
    turns,
)
from postroom.storage.tables_backfills import backfills
from postroom.storage.tables_workers import holdings
from postroom.storage.upkeep import unreferred


def _piece(table: Table, site_of: Table) -> Delete:
    """Delete some rows of the site; `site_of` is the table that knows whose they are."""
    own = tuple(table.primary_key.columns)
    source = table if table is site_of else table.join(site_of)
    some = select(*own).select_from(source).where(site_of.c.site_id == bindparam("site")).limit(_PIECE)
    which = own[0].in_(some) if len(own) == 1 else tuple_(*own).in_(some)
    return delete(table).where(which)


def _whole(table: Table) -> Statement:
    return Statement(delete(table).where(table.c.site_id == bindparam("site")))


_PIECE = 500
_SECRETS = [_whole(table) for table in (tokens, keys)]
_RECORDS = [Statement(_piece(table, table)) for table in (events, turns, places, answered, contacts)]
_ATTACHMENTS = Statement(_piece(attachments, messages))
_WITH_BLOBS = [Statement(_piece(table, table).returning(table.c.raw)) for table in (submissions, messages)]
_CONVERSATIONS = [Statement(_piece(parties, threads)), Statement(_piece(threads, threads))]
_SMALL = [_whole(table) for table in (addresses, accounts, backfills, cursors, holdings, replied)]
_LOCK = Statement(select(sites.c.id).where(sites.c.id == bindparam("site")).with_for_update())
_SITE = Statement(delete(sites).where(sites.c.id == bindparam("site")))
# Their scopes end with the site that they were used for.
_of_site: ColumnElement[str] = literal(":").concat(bindparam("site"))
_IDEMPOTENCY = Statement(
    delete(idempotency).where(
        func.substr(idempotency.c.scope, func.length(idempotency.c.scope) - func.length(_of_site) + 1)
        == _of_site
    )
)


async def delete_site(database: Database, site_id: str) -> tuple[str, ...]:
    """Delete it; the digests of blobs that nobody refers to any more.

    A crash in between leaves a site without secrets, which can be deleted again.
    """
    wanted = {"site": site_id}
    await database.write("site-secrets-delete", lambda c: _run(c, _SECRETS, wanted))
    blobs: set[str] = set()
    while await database.write("site-empty", lambda c: _delete_some(c, wanted, blobs)):
        pass
    await database.write("site-delete", lambda c: _delete_rest(c, wanted, blobs))
    return await database.read(lambda c: unreferred(c, blobs))


def _run(connection: Connection, statements: Iterable[Statement], wanted: Values) -> None:
    for statement in statements:
        connection.run(statement, wanted)


def _delete_some(connection: Connection, wanted: Values, blobs: set[str]) -> bool:
    """Delete rows of the first kind that has any; whether there were any."""
    if any(connection.count(statement, wanted) for statement in (*_RECORDS, _ATTACHMENTS)):
        return True
    for statement in _WITH_BLOBS:
        found = connection.scalars(statement, wanted)
        if found:
            blobs.update(found)
            return True
    return any(connection.count(statement, wanted) for statement in _CONVERSATIONS)


def _delete_rest(connection: Connection, wanted: Values, blobs: set[str]) -> None:
    connection.first(_LOCK, wanted)
    while _delete_some(connection, wanted, blobs):
        pass
    _run(connection, (*_SECRETS, *_SMALL, _IDEMPOTENCY, _SITE), wanted)
