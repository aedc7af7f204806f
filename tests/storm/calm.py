"""Waiting until everything is worked off."""

import asyncio
import time

import psycopg

from tests.storm.ground import Ground
from tests.storm.tally import answers, known, unfinished

QUIET_SECONDS = 15.0
"""So long nothing may be left to do, and no answer may come."""


async def calm(ground: Ground, mails: int, patience: float) -> bool:
    """Wait until all mails are taken in and nothing is left to do; whether it came to that."""
    ends = time.monotonic() + patience
    quiet_since: float | None = None
    before = -1
    while time.monotonic() < ends:
        got = sum((await asyncio.to_thread(answers, ground)).values())
        still = got == before and await asyncio.to_thread(_finished, ground, mails)
        before = got
        now = time.monotonic()
        quiet_since = (quiet_since or now) if still else None
        if quiet_since is not None and now - quiet_since >= QUIET_SECONDS:
            return True
        await asyncio.sleep(2)
    return False


def _finished(ground: Ground, mails: int) -> bool:
    try:
        return known(ground) >= mails and unfinished(ground) == 0
    except psycopg.OperationalError:
        return False
