"""Opens the bells of a process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.core.ports import Bells, Clock
from postroom.jobs.embedded import EmbeddedBells


@asynccontextmanager
async def open_bells(url: str | None, clock: Clock) -> AsyncIterator[Bells]:
    """The bells that all processes of a PostgreSQL share, or those of this process alone where it has its
    database for itself (None). `url`: as libpq reads it.

    On leaving, what waits is sent to other processes. Raises `PostroomError` (code `schema_behind` or
    `database_unavailable`).
    """
    if url is None:
        alone = EmbeddedBells(clock)
        try:
            yield alone
        finally:
            await alone.close()
        return
    # Not imported before: it takes a quarter of a second and needs what comes with the extra `postgres`.
    from postroom.jobs.postgresql import PostgresBells
    from postroom.jobs.postgresql_schema import check_bells

    await check_bells(url)
    shared = PostgresBells(url, clock)
    try:
        yield shared
    finally:
        await shared.disconnect()
