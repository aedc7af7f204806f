"""How long accounts go without a watcher when theirs is gone."""

import asyncio
import time
from contextlib import suppress

import psycopg

from tests.storm.ground import Ground

PATIENCE = 60.0
_HELD = "SELECT site_id FROM holdings WHERE split_part(owner, ':', 2) = %s"
_WITHOUT = """
    SELECT count(*) FROM holdings h
    WHERE h.site_id = ANY(%s) AND NOT EXISTS (
        SELECT FROM workers w WHERE w.id = h.owner AND split_part(w.id, ':', 2) <> %s
        AND w.seen_until > extract(epoch FROM clock_timestamp()) * 1000000)
"""


def held_by(ground: Ground, pid: int) -> list[str]:
    """The sites whose accounts a worker process holds. Raises `psycopg.OperationalError`."""
    with psycopg.connect(ground.database, autocommit=True) as connection:
        return [row[0] for row in connection.execute(_HELD, (str(pid),)).fetchall()]


async def taken_over(ground: Ground, pid: int, sites: list[str]) -> float | None:
    """Seconds until living workers other than `pid` hold all of them; None when it takes too long."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        with suppress(psycopg.OperationalError):
            if not await asyncio.to_thread(_without, ground, pid, sites):
                return time.monotonic() - began
        await asyncio.sleep(0.2)
    return None


def _without(ground: Ground, pid: int, sites: list[str]) -> int:
    with psycopg.connect(ground.database, autocommit=True) as connection:
        row = connection.execute(_WITHOUT, (sites, str(pid))).fetchone()
    assert row is not None
    return int(row[0])
