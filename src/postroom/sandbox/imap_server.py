"""IMAP over the mailboxes in memory, on the grammar that our own client reads."""

import asyncio
from contextlib import suppress

from postroom.imap.wire import WireError
from postroom.sandbox.imap_session import ImapSession
from postroom.sandbox.mailboxes import MailWorld


class ImapServer:
    """Serves connections: `open` is the callback for `asyncio.start_server`."""

    def __init__(self, world: MailWorld, password: str) -> None:
        self._world = world
        self._password = password
        self._sessions: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from greeting to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._sessions[task] = writer
        try:
            with suppress(ConnectionError, WireError, asyncio.CancelledError):
                await ImapSession(self._world, self._password, reader, writer).run()
        finally:
            del self._sessions[task]
            writer.close()

    async def close(self) -> None:
        """End every connection."""
        sessions = dict(self._sessions)
        for task, writer in sessions.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*sessions, return_exceptions=True)
