"""A PostgreSQL for the whole service."""

from tests.support.databases import postgresql  # noqa: F401 - fixture
