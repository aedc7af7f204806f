"""Opens storage: one value with everything that `core.store.Store` promises."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.core.ports import Steps
from postroom.core.shares import Holding
from postroom.core.store import HeldStore, Store
from postroom.storage.accounts import SqlAccounts
from postroom.storage.aftercare import SqlAftercare
from postroom.storage.answering import SqlAnswering
from postroom.storage.archive import SqlArchive
from postroom.storage.backfills import SqlBackfills
from postroom.storage.database import Database
from postroom.storage.desk import SqlDesk
from postroom.storage.engines import open_database, parse_url
from postroom.storage.fences import SqlFence, fence
from postroom.storage.idempotency import SqlIdempotency
from postroom.storage.intake import SqlIntake
from postroom.storage.keys import SqlKeys
from postroom.storage.lists import SqlLists
from postroom.storage.outbox import SqlOutbox
from postroom.storage.restoring import SqlRestoring
from postroom.storage.schema import check_schema
from postroom.storage.shares import SqlShares
from postroom.storage.sites import SqlSites
from postroom.storage.things import SqlThings
from postroom.storage.tokens import SqlTokens
from postroom.storage.upkeep import SqlUpkeep


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
    accounts, intake = SqlAccounts(database), SqlIntake(database)
    aftercare, desk = SqlAftercare(database), SqlDesk(database)

    def held(holding: Holding) -> HeldStore:
        first = fence(holding)
        return HeldStore(
            accounts=accounts.behind(first),
            intake=intake.behind(first),
            aftercare=aftercare.behind(first),
            desk=desk.behind(first),
            fence=SqlFence(database, holding),
        )

    sites = SqlSites(database)
    return Store(
        sites=sites,
        tokens=SqlTokens(database),
        keys=SqlKeys(database),
        accounts=accounts,
        intake=intake,
        answering=SqlAnswering(database, sites),
        outbox=SqlOutbox(database),
        aftercare=aftercare,
        lists=SqlLists(database),
        things=SqlThings(database),
        desk=desk,
        idempotency=SqlIdempotency(database),
        upkeep=SqlUpkeep(database),
        archive=SqlArchive(database),
        backfills=SqlBackfills(database),
        restoring=SqlRestoring(database),
        shares=SqlShares(database),
        held=held,
    )
