"""A process that takes in a mail and is killed at a step of its way.

python -m tests.support.dying_intake FOLDER STEP
"""

import asyncio
import sys
from pathlib import Path

from postroom.config import Settings
from postroom.core.model import Place, Role, Source
from postroom.engine.read import Arrived
from postroom.service import opened
from tests.support.clock import TestClock
from tests.support.dying import Deadly
from tests.support.office import SITE, US, mail


async def main(folder: str, last: str) -> None:
    """The way of one message into the store."""
    clock = TestClock()
    async with opened(Settings(data_dir=Path(folder) / "data"), steps=Deadly(last), clock=clock) as service:
        channel = {"email": US, "incomingServer": "imap.invalid", "outgoingServer": "smtp.invalid"}
        site = await service.accounts.patch(SITE, {"channels": {"email": channel}}, may_create=True)
        raw = mail(message_id="<dying@example.test>").as_bytes()
        place = Place("INBOX", 1, 1)
        arrived = Arrived(Source.MAILBOX, raw, clock.now(), len(raw), place, Role.INBOX)
        await service.ingest.take(site, [arrived])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
