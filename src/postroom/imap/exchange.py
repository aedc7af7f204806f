"""One command on its way: what the server still owes for it, until when, and who takes what it brings."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from postroom.imap.errors import ImapError
from postroom.imap.refusal import refused
from postroom.imap.responses import Condition, Data, NumberList, Tagged

Untagged: TypeAlias = Data | NumberList | Condition

Claim: TypeAlias = Callable[[Untagged], bool]
"""Offered each untagged response while its command is under way; True: it belongs to the command."""

_UNREAD_CONTINUATIONS: Final = 4


class Exchange:
    """A command that has been sent or is being sent. `expires` is in loop time, None while nothing is due."""

    __slots__ = ("_continuations", "_waiter", "claim", "expires", "finished", "literal_cap", "name", "tag")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, name: str, tag: str, claim: Claim | None, literal_cap: int
    ) -> None:
        self.name = name
        self.tag = tag
        self.claim = claim
        self.literal_cap = literal_cap
        self.expires: float | None = None
        self.finished: asyncio.Future[Tagged] = loop.create_future()
        self._continuations: deque[bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def take(self, response: Untagged) -> bool:
        """Whether the response belongs to this command."""
        return self.claim is not None and self.claim(response)

    def continued(self, text: bytes) -> None:
        """The server said `+`."""
        if self._continuations is None:
            self._continuations = deque(maxlen=_UNREAD_CONTINUATIONS)
        self._continuations.append(text)
        self._wake()

    async def continuation(self) -> bytes | None:
        """What the server says next after `+`; None when the command has ended instead, well or badly."""
        while not self._continuations:
            if self.finished.done():
                return None
            self._waiter = self.finished.get_loop().create_future()
            await self._waiter
        return self._continuations.popleft()

    def finish(self, tagged: Tagged) -> None:
        """The server's last word on the command."""
        if not self.finished.done():
            self.finished.set_result(tagged)
        self._wake()

    def fail(self, error: ImapError) -> None:
        """The connection ended first."""
        if not self.finished.done():
            self.finished.set_exception(error)
            self.finished.exception()  # an abandoned command is nobody's news
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None


async def completed(exchange: Exchange) -> Tagged:
    """The OK that ends a command. Raises what its refusal means, or why the connection ended."""
    tagged = await exchange.finished
    if tagged.status != "OK":
        raise refused(tagged)
    return tagged
