"""Opens storage: one value with everything that `core.store.Store` promises."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.core.ports import Steps
from postroom.core.store import Store
from postroom.storage.accounts import SqlAccounts
from postroom.storage.aftercare import SqlAftercare
from postroom.storage.answering import SqlAnswering
from postroom.storage.database import Database
from postroom.storage.desk import SqlDesk
from postroom.storage.engines import open_database, parse_url
from postroom.storage.idempotency import SqlIdempotency
from postroom.storage.intake import SqlIntake
from postroom.storage.keys import SqlKeys
from postroom.storage.lists import SqlLists
from postroom.storage.outbox import SqlOutbox
from postroom.storage.schema import check_schema
from postroom.storage.sites import SqlSites
from postroom.storage.things import SqlThings
from postroom.storage.tokens import SqlTokens


@asynccontextmanager
async def open_store(url: str, steps: Steps) -> AsyncIterator[Store]:
    """The store at `sqlite:///FILE` or `postgresql://…`, whose schema must be up to date.

    `steps.reached` is called in the thread that runs the transaction. On leaving, what runs is waited for
    and the connections are closed. Raises `PostroomError` (code `database_url`, `schema_behind`,
    `schema_ahead` or `database_unavailable`).
    """
    await check_schema(url)
    database = open_database(parse_url(url), steps)
    try:
        yield _store(database)
    finally:
        await database.close()


def _store(database: Database) -> Store:
    return Store(
        sites=SqlSites(database),
        tokens=SqlTokens(database),
        keys=SqlKeys(database),
        accounts=SqlAccounts(database),
        intake=SqlIntake(database),
        answering=SqlAnswering(database),
        outbox=SqlOutbox(database),
        aftercare=SqlAftercare(database),
        lists=SqlLists(database),
        things=SqlThings(database),
        desk=SqlDesk(database),
        idempotency=SqlIdempotency(database),
    )
