"""Secure tokens as sealed envelopes, and facts of the installation."""

from sqlalchemy import bindparam, delete, select, update

from postroom.core.model import Page, SealedToken
from postroom.storage.database import Database
from postroom.storage.paging import Listing, equals
from postroom.storage.statements import Connection, Row, Statement, given
from postroom.storage.tables import facts, tokens

_FIELDS = ["id", "site_id", "token_type", "identifier", "sealed", "created_at", "updated_at"]
_COLUMNS = [tokens.c[name] for name in _FIELDS]
_GET = Statement(
    select(*_COLUMNS).where(
        tokens.c.site_id == bindparam("site"),
        tokens.c.token_type == bindparam("type"),
        tokens.c.identifier == bindparam("identifier"),
    )
)
_REWRAP = Statement(
    update(tokens)
    .where(tokens.c.id == bindparam("b_id"), tokens.c.sealed == bindparam("b_old"))
    .values(sealed=bindparam("b_new"))
)
_DELETE = Statement(delete(tokens).where(tokens.c.id == bindparam("token")).returning(tokens.c.site_id))
_DELETE_OWN = Statement(
    delete(tokens)
    .where(tokens.c.id == bindparam("token"), tokens.c.site_id == bindparam("site"))
    .returning(tokens.c.site_id)
)
_FACT = Statement(select(facts.c.value).where(facts.c.name == bindparam("name")))


class SqlTokens:
    """`core.registry.Tokens` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        statement = database.dialect.insert(tokens).values(given(*_FIELDS))
        self._put = Statement(
            statement.on_conflict_do_update(
                index_elements=["site_id", "token_type", "identifier"],
                set_={name: statement.excluded[name] for name in ("sealed", "updated_at")},
            )
        )
        fact = database.dialect.insert(facts).values(given("name", "value"))
        self._remember = Statement(fact.on_conflict_do_nothing())
        self._replace = Statement(
            fact.on_conflict_do_update(index_elements=["name"], set_={"value": fact.excluded.value})
        )

    async def put(self, token: SealedToken) -> SealedToken:
        """`Tokens.put`. Raises `NotFound` when there is no such site."""
        values = {name: getattr(token, name) for name in _FIELDS}
        wanted = {"site": token.site_id, "type": token.token_type, "identifier": token.identifier}

        def work(connection: Connection) -> SealedToken:
            connection.run(self._put, values)
            return _token_of(connection.first(_GET, wanted))

        return await self._database.write("token-put", work)

    async def get(self, site_id: str, token_type: str, identifier: str) -> SealedToken | None:
        """`Tokens.get`."""
        wanted = {"site": site_id, "type": token_type, "identifier": identifier}
        row = await self._database.read(lambda c: c.first(_GET, wanted))
        return None if row is None else _token_of(row)

    async def list(self, site_id: str | None, cursor: str | None, limit: int) -> Page[SealedToken]:
        """`Tokens.list`. Raises `InvalidInput` for a cursor that is not ours."""
        filters = {} if site_id is None else {"site_id": site_id}
        return await self._database.read(lambda c: _LIST.page(c, filters, cursor, limit))

    async def delete(self, token_id: str, site_id: str | None) -> str | None:
        """`Tokens.delete`."""
        statement = _DELETE if site_id is None else _DELETE_OWN
        values = {"token": token_id, "site": site_id}
        return await self._database.write("token-delete", lambda c: c.scalar(statement, values))

    async def rewrap(self, token_id: str, old: str, new: str) -> bool:
        """`Tokens.rewrap`."""
        values = {"b_id": token_id, "b_old": old, "b_new": new}
        return await self._database.write("token-rewrap", lambda c: c.count(_REWRAP, values) > 0)

    async def remember(self, name: str, value: str) -> str:
        """`Tokens.remember`."""

        def work(connection: Connection) -> str:
            connection.run(self._remember, {"name": name, "value": value})
            return str(connection.scalar(_FACT, {"name": name}))

        return await self._database.write("fact-remember", work)

    async def replace(self, name: str, value: str) -> None:
        """`Tokens.replace`."""
        values = {"name": name, "value": value}
        await self._database.write("fact-replace", lambda c: c.run(self._replace, values))


def _token_of(row: Row) -> SealedToken:
    return SealedToken(*row[: len(_FIELDS)])


_LIST = Listing(
    select(*_COLUMNS),
    (tokens.c.id,),
    (str,),
    _token_of,
    {"site_id": equals(tokens.c.site_id)},
    descending=False,
)
