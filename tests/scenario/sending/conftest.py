"""Databases for services as processes."""

import asyncio

import pytest

from postroom.jobs.postgresql_schema import migrate_bells
from tests.support.databases import Cluster, postgresql, sqlite_template

__all__ = ["postgresql", "sqlite_template"]


@pytest.fixture
def shared_database(postgresql: Cluster) -> str:
    """A database that several processes serve, ready for them."""
    url = postgresql.migrated()
    asyncio.run(migrate_bells(url))
    return url
