"""Kept SMTP connections: a few per login, given back after a transaction, hung up when nobody comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from postroom.adapters.smtp_connection import SmtpConnection
from postroom.core.errors import MailServerError
from postroom.core.model import Login


@dataclass(frozen=True, slots=True)
class Keeping:
    """How many connections an account may have at once, and for how many seconds an idle one is kept."""

    at_once: int = 4
    idle: float = 30.0


class KeptConnections:
    """The connections of all logins. A changed credential is another login: it never meets an old session."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._accounts: dict[Login, Place] = {}

    @asynccontextmanager
    async def place(self, login: Login) -> AsyncIterator["Place"]:
        """Wait for one of the account's turns. Whoever has one is bound by the deadlines of a transaction."""
        place = self._accounts.get(login)
        if place is None:
            place = self._accounts[login] = Place(self._keeping)
        place.visitors += 1
        try:
            async with place.turns:
                yield place
        finally:
            place.visitors -= 1
            self._forget(login, place)

    async def close(self) -> None:
        """Hang up every idle connection and return when their sockets are closed; keep none from now on."""
        self._keeping = Keeping(self._keeping.at_once, 0)
        places, self._accounts = list(self._accounts.values()), {}
        idle = [connection for place in places for connection in place.closed()]
        await asyncio.gather(*(connection.close() for connection in idle))

    def _forget(self, login: Login, place: "Place") -> None:
        """Drop what nobody uses: at once without a connection, else when the last one has expired."""
        if self._accounts.get(login) is not place or place.visitors:
            return
        if place.idle:
            place.when_empty = lambda: self._forget(login, place)
        else:
            del self._accounts[login]


@dataclass(slots=True, eq=False)
class Place:
    """Where the connections of one account are kept."""

    keeping: Keeping
    turns: asyncio.Semaphore = field(init=False)
    idle: dict[SmtpConnection, asyncio.TimerHandle] = field(default_factory=dict)
    visitors: int = 0
    when_empty: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.turns = asyncio.Semaphore(self.keeping.at_once)

    def take(self) -> SmtpConnection | None:
        """The connection that was used last and is still good, or None."""
        while self.idle:
            connection, expiry = self.idle.popitem()
            expiry.cancel()
            if connection.usable:
                return connection
            connection.abort()
        return None

    def drop_kept(self) -> None:
        """Hang up whatever is kept: when one turned out to be dead, the older ones are no better."""
        for connection in self._emptied():
            connection.hang_up()

    def closed(self) -> list[SmtpConnection]:
        """The connections that were kept; none will be from now on."""
        self.keeping = Keeping(self.keeping.at_once, 0)
        return self._emptied()

    async def give_back(self, connection: SmtpConnection, *, clean: bool) -> None:
        """Keep a connection for the next one. `clean`: its transaction ended, else RSET ends it first."""
        if not clean and connection.usable:
            with suppress(MailServerError):
                reply = await connection.command(b"RSET", seconds=connection.deadlines.reuse)
                clean = reply.accepted
        if clean and connection.usable and self.keeping.idle:
            loop = asyncio.get_running_loop()
            self.idle[connection] = loop.call_later(self.keeping.idle, self._expire, connection)
        else:
            connection.hang_up()

    def _emptied(self) -> list[SmtpConnection]:
        connections = list(self.idle)
        for expiry in self.idle.values():
            expiry.cancel()
        self.idle.clear()
        return connections

    def _expire(self, connection: SmtpConnection) -> None:
        self.idle.pop(connection, None)
        connection.hang_up()
        if not self.idle and self.when_empty is not None:
            self.when_empty()
