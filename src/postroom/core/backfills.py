"""Backfills: history that a person asked for, and how far the reading of it has come.

What was taken already stands in the places of messages; the record beside it is for people, and for what the
provider allows a day.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from postroom.core.model import Claim


@dataclass(frozen=True, slots=True)
class BackfillRecord:
    """A site's backfill, the last one. `since`: what the server received from this moment on is wanted.

    `messages` and `octets` count what was read for it in all its runs. `window_octets` were read, for this
    backfill or one before, since `window_at`, when the present span of a day began.
    """

    site_id: str
    since: datetime
    begun_at: datetime
    updated_at: datetime
    messages: int = 0
    octets: int = 0
    window_at: datetime | None = None
    window_octets: int = 0
    finished_at: datetime | None = None


class Backfills(Protocol):
    """One backfill a site, by one process at a time. Every write after `begin` raises `LeaseLost`, having
    written nothing, when the claim is no longer ours."""

    async def find(self, site_id: str) -> BackfillRecord | None:
        """The record, or None when there never was a backfill."""
        ...

    async def begin(
        self, site_id: str, since: datetime, owner: str, now: datetime, until: datetime
    ) -> tuple[Claim, BackfillRecord] | None:
        """Claim the site's backfill until then; None while another process has it.

        One that was not finished is gone on with; after one that was, counting begins anew. Raises `NotFound`
        when the site is gone.
        """
        ...

    async def renew(self, claim: Claim, until: datetime) -> Claim:
        """The same claim for longer."""
        ...

    async def note(self, claim: Claim, record: BackfillRecord) -> None:
        """Write how far it has come."""
        ...

    async def release(self, claim: Claim) -> None:
        """Give it back, if it is still ours."""
        ...
