"""The agent of the benches: answers at once, and notes when it was called."""

import os
import time

from postroom.core.agent import Turn

CALLS = "BENCH_CALLS"
"""Environment variable: the file that takes one line a call, `<subject> <monotonic seconds>`."""


async def reply(turn: Turn) -> str:
    """A sentence."""
    path = os.environ.get(CALLS)
    if path:
        line = f"{turn.message.subject.split()[-1]} {time.monotonic():.6f}\n"
        with open(path, "a", encoding="ascii") as calls:  # noqa: ASYNC230, PTH123 - one short line
            calls.write(line)
    return "Thank you for your message."
