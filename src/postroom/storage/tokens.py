"""Secure tokens as sealed envelopes, and facts of the installation."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from postroom.core.model import Page, SealedToken
from postroom.storage.database import Database
from postroom.storage.paging import Listing
from postroom.storage.tables import facts, tokens

_FIELDS = ["id", "site_id", "token_type", "identifier", "sealed", "created_at", "updated_at"]
_COLUMNS = [tokens.c[name] for name in _FIELDS]
_GET = select(*_COLUMNS).where(
    tokens.c.site_id == bindparam("site"),
    tokens.c.token_type == bindparam("type"),
    tokens.c.identifier == bindparam("identifier"),
)
_REWRAP = (
    update(tokens)
    .where(tokens.c.id == bindparam("b_id"), tokens.c.sealed == bindparam("b_old"))
    .values(sealed=bindparam("b_new"))
)
_FACT = select(facts.c.value).where(facts.c.name == bindparam("name"))


class SqlTokens:
    """`core.registry.Tokens` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        statement = database.dialect.insert(tokens)
        self._put = statement.on_conflict_do_update(
            index_elements=["site_id", "token_type", "identifier"],
            set_={name: statement.excluded[name] for name in ("sealed", "updated_at")},
        )
        fact = database.dialect.insert(facts)
        self._remember = fact.on_conflict_do_nothing()
        self._replace = fact.on_conflict_do_update(
            index_elements=["name"], set_={"value": fact.excluded.value}
        )

    async def put(self, token: SealedToken) -> SealedToken:
        """`Tokens.put`. Raises `NotFound` when there is no such site."""
        values = {name: getattr(token, name) for name in _FIELDS}
        wanted = {"site": token.site_id, "type": token.token_type, "identifier": token.identifier}

        def work(connection: Connection) -> SealedToken:
            connection.execute(self._put, values)
            return _token_of(connection.execute(_GET, wanted).one())

        return await self._database.write("token-put", work)

    async def get(self, site_id: str, token_type: str, identifier: str) -> SealedToken | None:
        """`Tokens.get`."""
        wanted = {"site": site_id, "type": token_type, "identifier": identifier}
        row = await self._database.read(lambda c: c.execute(_GET, wanted).first())
        return None if row is None else _token_of(row)

    async def list(self, site_id: str | None, cursor: str | None, limit: int) -> Page[SealedToken]:
        """`Tokens.list`. Raises `InvalidInput` for a cursor that is not ours."""
        scope = () if site_id is None else (tokens.c.site_id == site_id,)
        return await self._database.read(lambda c: _LIST.page(c, scope, {}, cursor, limit))

    async def delete(self, token_id: str, site_id: str | None) -> str | None:
        """`Tokens.delete`."""
        statement = delete(tokens).where(tokens.c.id == token_id).returning(tokens.c.site_id)
        if site_id is not None:
            statement = statement.where(tokens.c.site_id == site_id)
        return await self._database.write("token-delete", lambda c: c.execute(statement).scalar())

    async def rewrap(self, token_id: str, old: str, new: str) -> bool:
        """`Tokens.rewrap`."""
        values = {"b_id": token_id, "b_old": old, "b_new": new}
        return await self._database.write("token-rewrap", lambda c: bool(c.execute(_REWRAP, values).rowcount))

    async def remember(self, name: str, value: str) -> str:
        """`Tokens.remember`."""

        def work(connection: Connection) -> str:
            connection.execute(self._remember, {"name": name, "value": value})
            return str(connection.execute(_FACT, {"name": name}).scalar_one())

        return await self._database.write("fact-remember", work)

    async def replace(self, name: str, value: str) -> None:
        """`Tokens.replace`."""
        values = {"name": name, "value": value}
        await self._database.write("fact-replace", lambda c: c.execute(self._replace, values))


def _token_of(row: Row[Any]) -> SealedToken:
    return SealedToken(*row[: len(_FIELDS)])


_LIST = Listing(select(*_COLUMNS), (tokens.c.id,), (str,), _token_of, descending=False)
