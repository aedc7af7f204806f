"""An office a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.databases import postgresql
from tests.support.office import Office, open_office

__all__ = ["postgresql"]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        yield opened
