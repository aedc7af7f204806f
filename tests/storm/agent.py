"""The agent of the storm: takes its time, so that there is something to interrupt."""

import asyncio
import random

from postroom.core.agent import Turn


async def reply(turn: Turn) -> str:
    """A sentence, within half a second."""
    await asyncio.sleep(random.uniform(0.0, 0.5))
    return f"Your message has {len(turn.message.new_text.split())} words."
