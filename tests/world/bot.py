"""Agents for the tests, named by POSTROOM_AGENT=python:tests.world.bot:…"""

import asyncio

from postroom import Answer, Attachment, Turn


async def words(turn: Turn) -> Answer:
    """Says how many words were new, and what it remembers."""
    turn.note("this step must never be mailed")
    earlier = [entry.text.strip() for entry in turn.history]
    return Answer(f"{len(turn.message.new_text.split())} words; history {len(earlier)}")


async def echo_files(turn: Turn) -> Answer:
    """Sends every file back."""
    files = [Attachment(a.filename, await a.read(), a.content_type) for a in turn.message.attachments]
    return Answer("your files", files)


async def slow(turn: Turn) -> Answer:
    """Takes its time, so that the service can be ended meanwhile."""
    await asyncio.sleep(1.5)
    return Answer("at last")


async def broken(turn: Turn) -> Answer:
    """Fails always."""
    raise RuntimeError(f"cannot: {turn.message.subject}")


async def silent(turn: Turn) -> Answer:
    """Decides that nothing needs to be said."""
    return Answer.nothing("nothing to say")
