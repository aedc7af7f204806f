"""All SQL: the store on SQLite and on PostgreSQL, and its migrations.

    await migrate(url)                          # idempotent, safe when two start at once
    async with open_store(url, steps) as store: # core.store.Store

URLs are `sqlite:///FILE` (four slashes for an absolute path) and `postgresql://…`.
"""

from postroom.storage.engines import libpq_url
from postroom.storage.schema import check_schema, migrate
from postroom.storage.store import open_store

__all__ = ["check_schema", "libpq_url", "migrate", "open_store"]
