"""Every storage test runs on both databases."""

from collections.abc import AsyncIterator

import pytest

from postroom.core.store import Store
from postroom.storage import open_store
from tests.support.databases import database_url, empty_database_url, postgresql, sqlite_template
from tests.support.stored import Recorder, site

__all__ = ["database_url", "empty_database_url", "postgresql", "sqlite_template"]


@pytest.fixture
def steps() -> Recorder:
    """Notes the steps that were reached."""
    return Recorder()


@pytest.fixture
async def store(database_url: str, steps: Recorder) -> AsyncIterator[Store]:
    """An open store without any site."""
    async with open_store(database_url, steps) as opened:
        yield opened


@pytest.fixture
async def acme(store: Store) -> Store:
    """An open store with the site `acme` (agent@acme.example, alias sales@acme.example)."""
    await store.sites.save(site())
    return store
