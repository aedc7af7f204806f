"""The sites and whose address is whose."""

from typing import Any

from sqlalchemy import bindparam, delete, select, update

from postroom.core.errors import Conflict
from postroom.core.model import Page, Site
from postroom.core.settings import Document, SiteSettings, parse_settings
from postroom.mail.address import normalise
from postroom.storage.database import Database
from postroom.storage.deletion import delete_site
from postroom.storage.dialect import among, not_among
from postroom.storage.paging import Listing
from postroom.storage.statements import Connection, Row, Statement, given
from postroom.storage.tables import addresses, sites

_FIELDS = ["id", "document", "environment", "version", "account_since", "created_at", "updated_at"]
_READ = [*_FIELDS, "forgotten_before"]
_COLUMNS = [sites.c[name] for name in _READ]
_REMEMBERED = 20_000
_GET = Statement(select(*_COLUMNS).where(sites.c.id == bindparam("site")))
_OWNER = Statement(
    select(*_COLUMNS)
    .join(addresses, addresses.c.site_id == sites.c.id)
    .where(addresses.c.address == bindparam("address"))
)
_UPDATE = Statement(
    update(sites)
    .where(sites.c.id == bindparam("b_id"), sites.c.version == bindparam("b_version"))
    .values(given(*_FIELDS, "paused"))
)
_FOREIGN = Statement(
    select(addresses.c.address).where(
        among(addresses.c.address, "addresses"), addresses.c.site_id != bindparam("site")
    )
)
_DROP = Statement(
    delete(addresses).where(
        addresses.c.site_id == bindparam("site"),
        not_among(addresses.c.address, "addresses"),
    )
)


class SqlSites:
    """`core.registry.Sites` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._parsed: dict[str, tuple[Document, SiteSettings]] = {}
        self._list = Listing(select(*_COLUMNS), (sites.c.id,), (str,), self._site_of, descending=False)
        self._insert = Statement(
            database.dialect.insert(sites).values(given(*_FIELDS, "paused")).on_conflict_do_nothing()
        )
        self._claim = Statement(
            database.dialect.insert(addresses).values(given("address", "site_id")).on_conflict_do_nothing()
        )

    async def get(self, site_id: str) -> Site | None:
        """`Sites.get`."""
        return await self._database.read(lambda c: self.find(c, site_id))

    def find(self, connection: Connection, site_id: str) -> Site | None:
        """`Sites.get` within a transaction."""
        row = connection.first(_GET, {"site": site_id})
        return None if row is None else self._site_of(row)

    async def save(self, site: Site) -> None:
        """`Sites.save`."""
        await self._database.write("site-save", lambda c: self._save(c, site))

    async def owner_of(self, address: str) -> Site | None:
        """`Sites.owner_of`."""
        row = await self._database.read(lambda c: c.first(_OWNER, {"address": address}))
        return None if row is None else self._site_of(row)

    async def list(self, cursor: str | None, limit: int) -> Page[Site]:
        """`Sites.list`."""
        return await self._database.read(lambda c: self._list.page(c, {}, cursor, limit))

    async def delete(self, site_id: str) -> tuple[str, ...]:
        """`Sites.delete`."""
        return await delete_site(self._database, site_id)

    def _site_of(self, row: Row) -> Site:
        id_, document, environment, version, since, created_at, updated_at, forgotten = row[: len(_READ)]
        settings = self._settings(id_, document)
        return Site(id_, document, settings, environment, version, since, created_at, updated_at, forgotten)

    def _settings(self, site_id: str, document: Document) -> SiteSettings:
        # Parsing costs more than reading the row, and the same document comes with every message.
        known = self._parsed.get(site_id)
        if known is None or known[0] != document:
            if len(self._parsed) >= _REMEMBERED:
                self._parsed.clear()
            known = self._parsed[site_id] = (document, parse_settings(document))
        return known[1]

    def _save(self, connection: Connection, site: Site) -> None:
        if site.version == 1:
            written = connection.count(self._insert, _values(site))
        else:
            former = {"b_id": site.id, "b_version": site.version - 1}
            written = connection.count(_UPDATE, _values(site) | former)
        if written != 1:
            raise Conflict("the site was changed by another at the same time")
        self._take_addresses(connection, site)

    def _take_addresses(self, connection: Connection, site: Site) -> None:
        channel = site.settings.channels.email
        own = sorted({normalise(address) for address in channel.addresses}) if channel else []
        connection.run(_DROP, {"site": site.id, "addresses": own})
        if not own:
            return
        # In one order, and without an error of the database's own: whoever else claims one of them at this
        # moment is waited for and then seen.
        connection.run_many(self._claim, [{"address": address, "site_id": site.id} for address in own])
        taken = connection.first(_FOREIGN, {"addresses": own, "site": site.id})
        if taken is not None:
            raise Conflict("an address of this account belongs to another site", code="address_taken")


def _values(site: Site) -> dict[str, Any]:
    values = {name: getattr(site, name) for name in _FIELDS}
    return values | {"document": dict(site.document), "paused": site.settings.paused}
