"""The sites and whose address is whose."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from postroom.core.errors import Conflict
from postroom.core.model import Page, Site
from postroom.core.settings import parse_settings
from postroom.mail.address import normalise
from postroom.storage.database import Database
from postroom.storage.deletion import delete_site
from postroom.storage.paging import Listing
from postroom.storage.tables import addresses, sites

_FIELDS = ["id", "document", "environment", "version", "account_since", "created_at", "updated_at"]
_COLUMNS = [sites.c[name] for name in _FIELDS]
_GET = select(*_COLUMNS).where(sites.c.id == bindparam("site"))
_OWNER = (
    select(*_COLUMNS)
    .join(addresses, addresses.c.site_id == sites.c.id)
    .where(addresses.c.address == bindparam("address"))
)
_UPDATE = update(sites).where(sites.c.id == bindparam("b_id"), sites.c.version == bindparam("b_version"))
_FOREIGN = select(addresses.c.address).where(
    addresses.c.address.in_(bindparam("addresses", expanding=True)), addresses.c.site_id != bindparam("site")
)
_DROP = delete(addresses).where(
    addresses.c.site_id == bindparam("site"),
    addresses.c.address.not_in(bindparam("addresses", expanding=True)),
)


class SqlSites:
    """`core.registry.Sites` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        inserting = database.dialect.insert(sites).on_conflict_do_nothing()
        self._insert = inserting.execution_options(preserve_rowcount=True)
        self._claim = database.dialect.insert(addresses).on_conflict_do_nothing()

    async def get(self, site_id: str) -> Site | None:
        """`Sites.get`."""
        row = await self._database.read(lambda c: c.execute(_GET, {"site": site_id}).first())
        return None if row is None else _site_of(row)

    async def save(self, site: Site) -> None:
        """`Sites.save`."""
        await self._database.write("site-save", lambda c: self._save(c, site))

    async def owner_of(self, address: str) -> Site | None:
        """`Sites.owner_of`."""
        row = await self._database.read(lambda c: c.execute(_OWNER, {"address": address}).first())
        return None if row is None else _site_of(row)

    async def list(self, cursor: str | None, limit: int) -> Page[Site]:
        """`Sites.list`."""
        return await self._database.read(lambda c: _LIST.page(c, (), {}, cursor, limit))

    async def delete(self, site_id: str) -> tuple[str, ...]:
        """`Sites.delete`."""
        return await delete_site(self._database, site_id)

    def _save(self, connection: Connection, site: Site) -> None:
        if site.version == 1:
            written = connection.execute(self._insert, _values(site)).rowcount
        else:
            former = {"b_id": site.id, "b_version": site.version - 1}
            written = connection.execute(_UPDATE, _values(site) | former).rowcount
        if written != 1:
            raise Conflict("the site was changed by another at the same time")
        self._take_addresses(connection, site)

    def _take_addresses(self, connection: Connection, site: Site) -> None:
        channel = site.settings.channels.email
        own = sorted({normalise(address) for address in channel.addresses}) if channel else []
        connection.execute(_DROP, {"site": site.id, "addresses": own})
        if not own:
            return
        # In one order, and without an error of the database's own: whoever else claims one of them at this
        # moment is waited for and then seen.
        connection.execute(self._claim, [{"address": address, "site_id": site.id} for address in own])
        taken = connection.execute(_FOREIGN, {"addresses": own, "site": site.id}).first()
        if taken is not None:
            raise Conflict("an address of this account belongs to another site", code="address_taken")


def _values(site: Site) -> dict[str, Any]:
    values = {name: getattr(site, name) for name in _FIELDS}
    return values | {"document": dict(site.document), "paused": site.settings.paused}


def _site_of(row: Row[Any]) -> Site:
    id_, document, environment, version, since, created_at, updated_at = row[: len(_FIELDS)]
    settings = parse_settings(document)
    return Site(id_, document, settings, environment, version, since, created_at, updated_at)


_LIST = Listing(select(*_COLUMNS), (sites.c.id,), (str,), _site_of, descending=False)
