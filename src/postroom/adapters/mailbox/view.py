"""How a mailbox stands, as this connection sees it: what was reported can always be fetched.

The messages of the open mailbox can be fetched once the server has announced them (EXISTS). So its UIDNEXT is
what a FETCH shows; STATUS, which may know more or less (RFC 9051 section 6.3.11), only says "look again".
"""

import asyncio
from dataclasses import replace
from typing import Final

from postroom.adapters.mailbox.faults import missing_mailbox
from postroom.adapters.mailbox.fetching import Facts, Fetching
from postroom.adapters.mailbox.patience import Patience
from postroom.adapters.mailbox.strikes import Shelf, Strikes
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Login, MailboxStatus
from postroom.core.ports import Steps
from postroom.imap.client import Client
from postroom.imap.errors import ImapBad, ImapNo
from postroom.imap.idle import Changes
from postroom.imap.mailboxes import Status
from postroom.imap.search import ALL
from postroom.imap.uids import UidSet

_MANY: Final = 500
"""New messages up to which their facts are asked for at once; for more the mailbox is opened anew."""


class View:
    """The mailbox that is open, and what was last reported of each."""

    def __init__(
        self, client: Client, login: Login, strikes: Strikes, steps: Steps, patience: Patience
    ) -> None:
        self._client = client
        self._login = login
        self._strikes = strikes
        self._steps = steps
        self._patience = patience
        self._open: MailboxStatus | None = None
        self._name = ""
        self._arrived = self._many = False
        self._compare_at = 0.0
        self._reported: dict[str, MailboxStatus] = {}
        self.main = ""
        self.known = Facts()

    # --- asked by the session -----------------------------------------------------------------------

    async def status(self, mailbox: str) -> MailboxStatus:
        """As `core.ports.MailSession.status`."""
        self.known = Facts()
        if mailbox == self._name and self._open is not None:
            found = await self._look()
        elif self.main and mailbox != self.main:
            found = await self._glance(mailbox)
        else:
            found = await self._select(mailbox)
        self._reported[mailbox] = found
        return found

    async def open(self, mailbox: str) -> None:
        """Make sure that the mailbox is open, and is the one that was reported on."""
        if mailbox == self._name and self._open is not None:
            return
        found = await self._select(mailbox)
        reported = self._reported.get(mailbox)
        if reported is not None and reported.uidvalidity != found.uidvalidity:
            raise MailServerError(ServerCode.PROTOCOL_ERROR, "the mailbox was renumbered meanwhile")

    def fetching(self) -> Fetching:
        """Fetches from the open mailbox."""
        assert self._open is not None
        shelf = Shelf(self._login.server.host, self._login.username, self._name, self._open.uidvalidity)
        return Fetching(self._client, shelf, self._strikes, self._steps)

    @property
    def extent(self) -> tuple[int, int]:
        """Messages in the open mailbox, and one above their highest UID."""
        return (self._open.exists, self._open.uidnext) if self._open else (0, 1)

    def news(self) -> bool:
        """Whether the open mailbox holds, or has announced, more than was last reported of it."""
        reported = self._reported.get(self._name)
        if self._arrived or reported is None or self._open is None:
            return self._arrived
        return self._open.uidnext > reported.uidnext

    def note(self, changes: Changes) -> None:
        """Take in what the server announced."""
        if self._open is None:
            return
        exists = self._open.exists - changes.expunged if changes.exists is None else changes.exists
        if changes.exists is not None:
            self._arrived = True
            self._many = self._many or exists - self._open.exists > _MANY
        self._open = replace(self._open, exists=max(exists, 0))

    # --- looking --------------------------------------------------------------------------------------

    async def _look(self) -> MailboxStatus:
        """The open mailbox: what was announced, else what a NOOP brings; STATUS now and then, to be sure."""
        self.note(self._client.changes())
        if not self._arrived:
            async with asyncio.timeout(self._patience.liveness):
                self.note(await self._client.noop())
        seen = await self._see() if self._arrived else self._now(self._open)
        if asyncio.get_running_loop().time() < self._compare_at:
            return seen
        told = await self._ask()
        other = told.uidvalidity not in (None, seen.uidvalidity)
        if other or (told.uidnext or 0) > seen.uidnext:
            # The server knows of messages that this view of the mailbox does not show: look with fresh eyes.
            return await self._select(self._name)
        self._compare_at = asyncio.get_running_loop().time() + self._patience.compare
        return seen

    async def _see(self) -> MailboxStatus:
        """Ask for the facts of what lies above; gives the mailbox with it."""
        assert self._open is not None
        if self._many:
            return await self._select(self._name)
        self._arrived = False
        lowest = self._open.uidnext
        async with asyncio.timeout(self._patience.liveness):
            facts = await self.fetching().facts(UidSet.starting_at(lowest))
        uidnext = max((fact.uid + 1 for fact in facts), default=lowest)
        self.known = Facts(range(lowest, uidnext), {fact.uid: fact for fact in facts})
        return self._now(replace(self._open, uidnext=uidnext))

    async def _ask(self) -> Status:
        """STATUS of the open mailbox (RFC 9051 section 6.3.11 has servers answer it); empty when refused."""
        try:
            async with asyncio.timeout(self._patience.liveness):
                return await self._client.status(self._name)
        except (ImapNo, ImapBad):
            return Status()

    async def _glance(self, mailbox: str) -> MailboxStatus:
        """Another mailbox: STATUS leaves the main one open; only when something changed it is opened."""
        reported = self._reported.get(mailbox)
        try:
            told = await self._client.status(mailbox)
        except (ImapNo, ImapBad):
            told = Status()
        if reported and (told.uidvalidity, told.uidnext) == (reported.uidvalidity, reported.uidnext):
            return MailboxStatus(reported.uidvalidity, reported.uidnext, told.messages or 0)
        return await self._select(mailbox)

    async def _select(self, mailbox: str) -> MailboxStatus:
        self._open, self._name, self._arrived, self._many = None, "", False, False
        self.known = Facts()
        self._client.changes()
        try:
            selected = await self._client.select(mailbox)
        except ImapNo as exc:
            raise missing_mailbox(exc) from exc
        uidvalidity, uidnext = selected.uidvalidity, selected.uidnext
        if uidvalidity is None or uidnext is None:
            told = await self._client.status(mailbox)
            uidvalidity, uidnext = uidvalidity or told.uidvalidity, uidnext or told.uidnext
        if uidvalidity is None:
            raise MailServerError(ServerCode.PROTOCOL_ERROR, "the server's messages have no lasting numbers")
        if uidnext is None:
            found = await self._client.uid_search(ALL) if selected.exists else ()
            uidnext = found[-1] + 1 if found else 1
        self._name = mailbox
        self._compare_at = asyncio.get_running_loop().time() + self._patience.compare
        return self._now(MailboxStatus(uidvalidity, uidnext, selected.exists, selected.highestmodseq or 0))

    def _now(self, found: MailboxStatus | None) -> MailboxStatus:
        assert found is not None
        self._open = found
        return found
