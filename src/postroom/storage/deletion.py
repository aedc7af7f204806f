"""Deletes a site with all that belongs to it: secrets first, then in pieces small enough for others to work
in between, at last the rest in one transaction with the site itself."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Delete, Table, bindparam, delete, select, tuple_, union_all

from postroom.storage.database import Database
from postroom.storage.rows import MANY, chunks
from postroom.storage.tables import (
    accounts,
    addresses,
    answered,
    attachments,
    contacts,
    cursors,
    events,
    keys,
    messages,
    parties,
    places,
    sites,
    submissions,
    threads,
    tokens,
    turns,
)


def _piece(table: Table, site_of: Table) -> Delete:
    """Delete some rows of the site; `site_of` is the table that knows whose they are."""
    own = tuple(table.primary_key.columns)
    source = table if table is site_of else table.join(site_of)
    some = select(*own).select_from(source).where(site_of.c.site_id == bindparam("site")).limit(MANY)
    which = own[0].in_(some) if len(own) == 1 else tuple_(*own).in_(some)
    return delete(table).where(which)


_SECRETS = [delete(table).where(table.c.site_id == bindparam("site")) for table in (tokens, keys)]
_RECORDS = [_piece(table, table) for table in (events, turns, places, answered, contacts)]
_ATTACHMENTS = _piece(attachments, messages)
_WITH_BLOBS = [_piece(table, table).returning(table.c.raw) for table in (submissions, messages)]
_CONVERSATIONS = [_piece(parties, threads), _piece(threads, threads)]
_SMALL = [
    delete(table).where(table.c.site_id == bindparam("site")) for table in (addresses, accounts, cursors)
]
_LOCK = select(sites.c.id).where(sites.c.id == bindparam("site")).with_for_update()
_SITE = delete(sites).where(sites.c.id == bindparam("site"))
_REFERRED = union_all(
    *(
        select(table.c.raw).where(table.c.raw.in_(bindparam("digests", expanding=True)))
        for table in (messages, submissions)
    )
)


async def delete_site(database: Database, site_id: str) -> tuple[str, ...]:
    """Delete it; the digests of blobs that nobody refers to any more.

    A crash in between leaves a site without secrets, which can be deleted again.
    """
    wanted = {"site": site_id}
    await database.write("site-secrets-delete", lambda c: [c.execute(item, wanted) for item in _SECRETS])
    blobs: set[str] = set()
    while await database.write("site-empty", lambda c: _delete_some(c, wanted, blobs)):
        pass
    await database.write("site-delete", lambda c: _delete_rest(c, wanted, blobs))
    return await database.read(lambda c: _unreferred(c, blobs))


def _delete_some(connection: Connection, wanted: dict[str, Any], blobs: set[str]) -> bool:
    """Delete rows of the first kind that has any; whether there were any."""
    for statement in (*_RECORDS, _ATTACHMENTS):
        if connection.execute(statement, wanted).rowcount:
            return True
    for returning in _WITH_BLOBS:
        found = connection.execute(returning, wanted).scalars().all()
        if found:
            blobs.update(found)
            return True
    return any(connection.execute(statement, wanted).rowcount for statement in _CONVERSATIONS)


def _delete_rest(connection: Connection, wanted: dict[str, Any], blobs: set[str]) -> None:
    connection.execute(_LOCK, wanted)
    while _delete_some(connection, wanted, blobs):
        pass
    for statement in (*_SECRETS, *_SMALL, _SITE):
        connection.execute(statement, wanted)


def _unreferred(connection: Connection, digests: Iterable[str]) -> tuple[str, ...]:
    left = sorted(digest for digest in digests if digest)
    referred: set[str] = set()
    for some in chunks(left):
        referred.update(connection.execute(_REFERRED, {"digests": some}).scalars())
    return tuple(digest for digest in left if digest not in referred)
