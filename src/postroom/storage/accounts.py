"""What watchers report of their accounts."""

from sqlalchemy import bindparam, select

from postroom.core.model import AccountState, AccountStatus
from postroom.storage.database import Database
from postroom.storage.fences import Fenced
from postroom.storage.statements import Connection, Statement, given
from postroom.storage.tables import accounts, sites

_FIELDS = [column.name for column in accounts.c]
_STATUS = Statement(select(accounts).where(accounts.c.site_id == bindparam("site")))
_SITE = Statement(
    select(sites.c.id).where(sites.c.id == bindparam("site")).with_for_update(read=True, key_share=True)
)


class SqlAccounts(Fenced):
    """`core.registry.Accounts` on a database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        statement = database.dialect.insert(accounts).values(given(*_FIELDS))
        changed = {name: statement.excluded[name] for name in _FIELDS if name != "site_id"}
        self._put = Statement(statement.on_conflict_do_update(index_elements=["site_id"], set_=changed))

    async def status(self, site_id: str) -> AccountStatus | None:
        """`Accounts.status`."""
        row = await self._database.read(lambda c: c.first(_STATUS, {"site": site_id}))
        if row is None:
            return None
        return AccountStatus(**row._asdict() | {"state": AccountState(row.state)})

    async def report(self, status: AccountStatus) -> None:
        """`Accounts.report`. Nothing is kept of a site that is gone: its watcher may end later than it."""
        values = {name: getattr(status, name) for name in _FIELDS} | {"state": status.state.value}

        def work(connection: Connection) -> None:
            if connection.first(_SITE, {"site": status.site_id}) is not None:
                self.fence(connection)
                connection.run(self._put, values)

        await self._database.write("account-report", work)
