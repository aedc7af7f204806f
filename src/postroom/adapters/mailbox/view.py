"""How a mailbox stands, as this connection sees it: what was reported can always be fetched.

What a server says of the mailbox that is open comes unasked (EXISTS), and only then can its messages be
fetched. So UIDNEXT of the open mailbox is what a FETCH shows, and STATUS is only believed to say "look".
"""

import asyncio
from dataclasses import replace
from typing import Final

from postroom.adapters.mailbox.faults import missing_mailbox
from postroom.adapters.mailbox.fetching import Facts, Fetching
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
    """The mailbox that is open, and what was last reported of each. `liveness`: seconds within which a
    server that lives answers something small."""

    def __init__(self, client: Client, login: Login, strikes: Strikes, steps: Steps, liveness: float) -> None:
        self._client = client
        self._login = login
        self._strikes = strikes
        self._steps = steps
        self._liveness = liveness
        self._open: MailboxStatus | None = None
        self._name = ""
        self._arrived = self._many = False
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
        """The open mailbox: at once what was announced, else what STATUS knows."""
        self.note(self._client.changes())
        if self._arrived:
            return await self._see()
        told = await self._ask()
        self.note(self._client.changes())
        assert self._open is not None
        if told.uidvalidity not in (None, self._open.uidvalidity):
            return await self._select(self._name)
        if not self._arrived and (told.uidnext is None or told.uidnext > self._open.uidnext):
            async with asyncio.timeout(self._liveness):
                self.note(await self._client.noop())
            self._arrived = True
        if self._arrived:
            seen = await self._see()
        else:
            exists = self._open.exists if told.messages is None else told.messages
            seen = self._now(replace(self._open, exists=exists))
        if told.uidnext is not None and told.uidnext > seen.uidnext:
            # STATUS knows of messages that this view of the mailbox does not show: look with fresh eyes.
            return await self._select(self._name)
        return seen

    async def _see(self) -> MailboxStatus:
        """Ask for the facts of what lies above; gives the mailbox with it."""
        assert self._open is not None
        if self._many:
            return await self._select(self._name)
        self._arrived = False
        lowest = self._open.uidnext
        async with asyncio.timeout(self._liveness):
            facts = await self.fetching().facts(UidSet.starting_at(lowest))
        uidnext = max((fact.uid + 1 for fact in facts), default=lowest)
        self.known = Facts(range(lowest, uidnext), {fact.uid: fact for fact in facts})
        return self._now(replace(self._open, uidnext=uidnext))

    async def _ask(self) -> Status:
        """STATUS of the open mailbox (RFC 9051 section 6.3.11 has servers answer it); empty when refused."""
        try:
            async with asyncio.timeout(self._liveness):
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
        return self._now(MailboxStatus(uidvalidity, uidnext, selected.exists, selected.highestmodseq or 0))

    def _now(self, found: MailboxStatus) -> MailboxStatus:
        self._open = found
        return found
