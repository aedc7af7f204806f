"""One logged-in IMAP connection as the engine knows it."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import date
from typing import Final

from postroom.adapters.mailbox.faults import refused_append, translated
from postroom.adapters.mailbox.fetching import AT_ONCE, facts_of, portions
from postroom.adapters.mailbox.patience import Patience
from postroom.adapters.mailbox.strikes import Strikes
from postroom.adapters.mailbox.view import View
from postroom.adapters.mailbox.waiting import Waiting
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Login, MailboxStatus, Role
from postroom.core.ports import FetchedMessage, MessageFacts, Steps
from postroom.imap import search
from postroom.imap.client import Client
from postroom.imap.errors import ImapBad, ImapNo
from postroom.imap.roles import find_roles
from postroom.imap.uids import HIGHEST_UID, UidSet

_SEARCHED_WHOLE: Final = 50_000
"""Messages up to which a mailbox is searched at once; a larger one in windows, so that no line grows long."""

_MOST_WINDOWS: Final = 64

_MOST_FOUND: Final = 2_000_000
"""UIDs that a search may find; they are all held in memory."""


class ImapSession:
    """`core.ports.MailSession`. `fetching`: a FETCH is under way, or was left half done."""

    def __init__(
        self, client: Client, login: Login, strikes: Strikes, steps: Steps, patience: Patience
    ) -> None:
        self._client = client
        self._login = login
        self._steps = steps
        self._view = View(client, login, strikes, steps, patience)
        self._waiting = Waiting(client, self._view, login, patience)
        self.fetching = False

    @property
    def pushes(self) -> bool:
        """See the port."""
        return self._waiting.pushes

    async def roles(self) -> Mapping[Role, str]:
        """See the port."""
        with translated(self._login):
            mailboxes = await self._client.list()
        return {Role(role.value): name for role, name in find_roles(mailboxes).items()}

    async def status(self, mailbox: str) -> MailboxStatus:
        """See the port. Raises `MailServerError` with `mailbox_missing` when it cannot be opened."""
        with translated(self._login):
            return await self._view.status(mailbox)

    async def fetch(
        self, mailbox: str, uids: Sequence[range], cap: int
    ) -> AsyncGenerator[FetchedMessage, None]:
        """See the port. A message whose body cannot be had is tried again a few times (the session fails with
        `protocol_error`), then given with its headers, at last with nothing but its facts."""
        with translated(self._login):
            await self._view.open(mailbox)
            messages = self._view.fetching().messages(uids, cap, self._view.known)
            self.fetching = True
            async with aclosing(messages):
                async for message in messages:
                    yield message
            self.fetching = False

    async def find(
        self,
        mailbox: str,
        *,
        message_id: str = "",
        unseen: bool = False,
        since: date | None = None,
        lowest: int = 1,
    ) -> tuple[int, ...]:
        """See the port."""
        keys = [search.header("Message-ID", f"<{message_id}>")] if message_id else []
        keys += [search.UNSEEN] if unseen else []
        keys += [search.since(since)] if since else []
        with translated(self._login):
            await self._view.open(mailbox)
            found: list[int] = []
            for window in self._windows(lowest, narrow=bool(message_id)):
                found += await self._client.uid_search(*window, *(keys or [search.ALL]))
                if len(found) > _MOST_FOUND:
                    raise MailServerError(ServerCode.PROTOCOL_ERROR, "the mailbox holds too many messages")
        # `n:*` names the last message even when it lies below n (RFC 9051 section 6.4.9).
        return tuple(uid for uid in found if uid >= lowest)

    async def facts(self, mailbox: str, uids: Sequence[range]) -> tuple[MessageFacts, ...]:
        """See the port."""
        found: list[MessageFacts] = []
        with translated(self._login):
            await self._view.open(mailbox)
            fetching = self._view.fetching()
            for some in portions(uids):
                found += map(facts_of, await fetching.facts(UidSet.of(some)))
        return tuple(found)

    async def flag(self, mailbox: str, uids: Collection[int], flags: Sequence[str]) -> None:
        """See the port. A server that refuses flags (a read-only mailbox, say) is let have its way: they are
        for people, the truth is in the store."""
        with translated(self._login):
            await self._view.open(mailbox)
            for some in _portions(uids):
                with suppress(ImapNo, ImapBad):
                    await self._client.add_flags(UidSet.of(some), flags)
                self._steps.reached("imap:store")

    async def append(self, mailbox: str, raw: bytes, flags: Sequence[str]) -> None:
        """See the port. An error that is not temporary is the server's NO; the session can still be used."""
        with translated(self._login):
            try:
                await self._client.append(mailbox, raw, flags)
            except ImapNo as exc:
                raise refused_append(exc) from exc
            self._steps.reached("imap:append")

    async def wait(self, mailbox: str, seconds: float) -> bool:
        """See the port."""
        with translated(self._login):
            return await self._waiting.wait(mailbox, seconds)

    def interrupt(self) -> None:
        """See the port."""
        self._waiting.interrupt()

    def _windows(self, lowest: int, *, narrow: bool) -> list[list[search.SearchKey]]:
        """Ranges of UIDs to search one after the other; a single one without an end for few messages, and
        for a search that finds few."""
        exists, uidnext = self._view.extent
        if narrow or exists <= _SEARCHED_WHOLE:
            return [[search.within(UidSet.starting_at(lowest))] if lowest > 1 else []]
        width = max(_SEARCHED_WHOLE, -(-(uidnext - lowest) // _MOST_WINDOWS))
        starts = range(lowest, uidnext, width)
        spans = [(start, min(start + width - 1, HIGHEST_UID)) for start in starts]
        return [[search.within(UidSet.spanning([span]))] for span in spans]


def _portions(uids: Collection[int]) -> list[list[int]]:
    ascending = sorted(set(uids))
    return [ascending[start : start + AT_ONCE] for start in range(0, len(ascending), AT_ONCE)]
