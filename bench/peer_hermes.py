"""Runs in the peer's own virtual environment: its e-mail adapter, and an agent that answers at once.

It imports nothing of ours. The environment carries `EMAIL_*`, and `BENCH_CALLS`: the file that takes one
line a call, `<subject's number> <monotonic seconds>`.
"""

import asyncio
import importlib
import os
import re
import time
from pathlib import Path
from typing import Any


async def answered(event: Any) -> str:
    """A sentence, as ours says it."""
    number = re.search(r"\[Subject: bench (\d+)\]", event.text)
    if number:
        with Path(os.environ["BENCH_CALLS"]).open("a", encoding="ascii") as calls:  # noqa: ASYNC230 - short
            calls.write(f"{number[1]} {time.monotonic():.6f}\n")
    return "Thank you for your message."


async def main() -> None:
    """Until it is ended from outside."""
    adapter_module = importlib.import_module("plugins.platforms.email.adapter")
    configuration = importlib.import_module("gateway.config")
    adapter = adapter_module.EmailAdapter(configuration.PlatformConfig(enabled=True, extra={}))
    adapter.set_message_handler(answered)
    if not await adapter.connect():
        raise SystemExit("the peer cannot connect")
    print("connected", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
