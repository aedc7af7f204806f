"""After a restore: nothing is sent or answered again that was sent or answered since the backup."""

from datetime import timedelta

import structlog

from postroom.core.ports import Clock
from postroom.core.registry import Restoring, Unfinished

log = structlog.get_logger()

LOOK_FIRST = timedelta(minutes=10)
"""Mail that was due in the backup waits so long: by then the mailboxes were looked at, and a reply in Sent
has told that it was answered."""


async def settle_restored(restoring: Restoring, clock: Clock) -> Unfinished:
    """What was on its way in the backup becomes `unknown`; what was due waits for what Sent tells."""
    return await restoring.settle(clock.now(), LOOK_FIRST)


async def settle_if_restored(restoring: Restoring, clock: Clock) -> None:
    """The same for a database that is marked as the copy that `postroom backup` made."""
    if await restoring.marked():
        found = await settle_restored(restoring, clock)
        log.info("backup.restored", unknown_submissions=found.submissions, waiting_messages=found.messages)
