"""Agents for the tests, named by POSTROOM_AGENT=python:tests.support.bots:…"""

import asyncio
import time

from postroom import Answer, Turn


async def short(turn: Turn) -> Answer:
    """Takes a second, so that the service can be ended meanwhile."""
    await asyncio.sleep(1)
    return Answer("at last")


async def endless(turn: Turn) -> Answer:
    """Never answers."""
    await asyncio.sleep(3600)
    return Answer("never")


async def blocking(turn: Turn) -> Answer:
    """Never answers, and lets nothing else run either."""
    time.sleep(3600)  # noqa: ASYNC251 - a fault that agents have
    return Answer("never")


async def talkative(turn: Turn) -> Answer:
    """Repeats all it was told, in notes and in the answer, and reads the files."""
    for item in turn.message.attachments:
        turn.note(f"{item.filename}: {len(await item.read())}")
    turn.note(turn.message.text)
    return Answer(f"{turn.message.subject}: {turn.message.text}")


async def leaky(turn: Turn) -> Answer:
    """Fails with everything it knows in the text of its exception."""
    raise RuntimeError(f"{turn.message.sender} {turn.message.subject} {turn.message.text}")
