"""Waiting for mail: IDLE where the server has it (RFC 2177), renewed before NAT or provider drop it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from postroom.adapters.mailbox.patience import Patience
from postroom.adapters.mailbox.view import View
from postroom.core.model import Login
from postroom.core.providers import provider_for
from postroom.imap.client import Client
from postroom.imap.errors import ImapBad, ImapNo
from postroom.imap.idle import Idling

_HASTY: Final = 1.0
"""An IDLE that the server ends sooner than after so many seconds, again and again, is none."""

_HASTY_ENDS: Final = 3


class Waiting:
    """The waits of one session."""

    def __init__(self, client: Client, view: View, login: Login, patience: Patience) -> None:
        self._client = client
        self._view = view
        self._patience = patience
        self._idle_limit = provider_for(login.server.host).idle_limit
        self._interrupted = asyncio.Event()
        self._idling: Idling | None = None
        self._hasty_ends = 0
        self.pushes = client.pushes

    def interrupt(self) -> None:
        """See `core.ports.MailSession.interrupt`."""
        self._interrupted.set()
        if self._idling is not None:
            self._idling.interrupt()

    async def wait(self, mailbox: str, seconds: float) -> bool:
        """See `core.ports.MailSession.wait`."""
        self._view.main = mailbox
        try:
            if self._interrupted.is_set():
                return True
            await self._view.open(mailbox)
            self._view.note(self._client.changes())
            woken = self._view.news() or await self._hear(seconds)
            return woken or self._interrupted.is_set()
        finally:
            self._interrupted.clear()

    async def _hear(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while self.pushes and (left := ends - loop.time()) > 0:
            if await self._idle(min(left, self._idle_limit)):
                return True
        return await self._doze(ends - loop.time())

    async def _doze(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._interrupted.wait()
        except TimeoutError:
            return False
        return True

    async def _idle(self, seconds: float) -> bool:
        """One IDLE; whether it brought something. A server that refuses it is polled from then on."""
        began = asyncio.get_running_loop().time()
        try:
            async with _promptly(self._client.idle(), self._patience.liveness) as idling:
                self._idling = idling
                found = await self._listen(idling, seconds)
                ended = idling.ended
        except (ImapNo, ImapBad):
            self.pushes = False
            return False
        finally:
            self._idling = None
        if ended and asyncio.get_running_loop().time() - began < _HASTY:
            self._hasty_ends += 1
            self.pushes = self._hasty_ends < _HASTY_ENDS
        return found

    async def _listen(self, idling: Idling, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while not self._interrupted.is_set() and not idling.ended and (left := ends - loop.time()) > 0:
            self._view.note(await idling.wait(left))
            if self._view.news():
                return True
        return self._interrupted.is_set()


@asynccontextmanager
async def _promptly(context: AbstractAsyncContextManager[Idling], seconds: float) -> AsyncIterator[Idling]:
    """Enters and leaves within so many seconds each; what is done inside takes its time."""
    async with asyncio.timeout(seconds):
        entered = await context.__aenter__()
    try:
        yield entered
    except BaseException:
        await context.__aexit__(*sys.exc_info())
        raise
    async with asyncio.timeout(seconds):
        await context.__aexit__(None, None, None)
