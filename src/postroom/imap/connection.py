"""One IMAP connection: commands go out, may overlap, and each gets its answer, an error or its deadline.

It has no task of its own and at most one timer: what is asked runs in the asker's task. `dial.connect` makes
connections, and sees to TLS before anything else.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Final, Protocol, TypeAlias

from postroom.imap.command import Command, LiteralMode
from postroom.imap.errors import ImapClosed, ImapProtocolError, ImapTimeout, ImapTlsError, TlsFault
from postroom.imap.exchange import Claim, Exchange, Untagged, completed
from postroom.imap.link import ErrorMaker, Link
from postroom.imap.pace import Pace
from postroom.imap.refusal import refused
from postroom.imap.responses import Condition, Continuation, Malformed, Response, Tagged
from postroom.imap.wire import Limits

BYE_GRACE_SECONDS: Final = 0.25
"""How long a server may take to close after its BYE."""

Notice: TypeAlias = Callable[[str], None]
"""Told of each step on the wire, by the name of its command: `imap:write:NAME` just before something is sent,
`imap:read:NAME` once the command's end was read and before anything is made of it."""


class Listener(Protocol):
    """Hears what no command claims. Both methods return at once."""

    def heard(self, response: Untagged) -> None:
        """An untagged response that came by itself."""
        ...

    def lost(self) -> None:
        """The connection has ended; whatever waits for it should look."""
        ...


class Connection:
    """The client's end of one connection."""

    __slots__ = (
        "_bye",
        "_count",
        "_exchanges",
        "_greeting",
        "_idling",
        "_loop",
        "_notice",
        "_sending",
        "_talking",
        "link",
        "listener",
        "literals",
        "pace",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: Limits | None = None, notice: Notice | None = None
    ) -> None:
        self.link = Link(loop, limits or Limits(), self)
        self._notice = notice or _unnoticed
        self.listener: Listener | None = None
        self.literals = LiteralMode.SYNCHRONISING
        self._loop = loop
        self._exchanges: dict[str, Exchange] = {}
        self.pace = Pace(loop, self.link, self._exchanges)
        self._talking: Exchange | None = None
        self._sending = asyncio.Lock()
        self._greeting: asyncio.Future[Condition] | None = loop.create_future()
        self._idling = False
        self._bye: ErrorMaker | None = None
        self._count = 0

    @property
    def is_open(self) -> bool:
        """Whether commands can still be sent."""
        return self.link.error is None

    async def greeting(self, seconds: float) -> Condition:
        """The server's first response, OK or PREAUTH; to be asked for once.

        Raises ImapTimeout, ImapClosed, ImapProtocolError (another protocol is spoken there), and for a BYE
        what its words mean.
        """
        assert self._greeting is not None
        try:
            return await asyncio.wait_for(self._greeting, seconds)
        except TimeoutError as exc:
            raise ImapTimeout from exc
        finally:
            self._greeting = None

    async def run(
        self, command: Command, *, seconds: float, claim: Claim | None = None, literal_cap: int = 0
    ) -> Tagged:
        """Sends a command and gives the OK that ends it.

        `claim` is offered every untagged response meanwhile; each may bring `literal_cap` bytes of literals.
        Raises ImapNo, ImapBad, ImapThrottled; ImapClosed, ImapBye, ImapTimeout or ImapProtocolError when
        the connection ended.
        """
        with self.pace.waiting():
            return await completed(await self.start(command, seconds, claim, literal_cap))

    async def start(
        self, command: Command, seconds: float, claim: Claim | None = None, literal_cap: int = 0
    ) -> Exchange:
        """Sends a command, and does not wait for its end (`completed` does)."""
        async with self._turn():
            exchange = self._begin(command.name, seconds, claim, literal_cap)
            await self._send(exchange, command.blocks(exchange.tag, self.literals))
        return exchange

    async def converse(
        self, command: Command, answers: tuple[bytes, ...], *, seconds: float, claim: Claim | None = None
    ) -> Tagged:
        """Sends AUTHENTICATE and answers each `+` with the next of `answers`, then with `*`.

        Gives the tagged response, whatever it says. Raises as `run` when the connection ended.
        """
        with self.pace.waiting():
            async with self._turn():
                exchange = self._begin(command.name, seconds, claim)
                unsaid = iter(answers)
                self._write(exchange, command.blocks(exchange.tag, self.literals)[0])
                with self._whole():
                    while await exchange.continuation() is not None:
                        self._write(exchange, next(unsaid, b"*") + b"\r\n")
            return await exchange.finished

    @asynccontextmanager
    async def idle(self, seconds: float) -> AsyncIterator[Exchange]:
        """IDLE (RFC 2177) from the server's `+` to its answer to DONE; `seconds` for each of the two.

        The exchange handed out is finished early when the server ends IDLE, or the connection. Raises as
        `run`.
        """
        async with self._turn():
            with self.pace.waiting():
                exchange = self._begin("IDLE", seconds)
                self._write(exchange, f"{exchange.tag} IDLE\r\n".encode("ascii"))
                with self._whole():
                    if await exchange.continuation() is None:
                        await completed(exchange)
                exchange.expires = None
            self._idling = True
            try:
                yield exchange
            finally:
                self._idling = False
                self._leave_idle(exchange, seconds)
            with self.pace.waiting():
                await completed(exchange)

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str, seconds: float) -> None:
        """STARTTLS (RFC 9051 section 6.2.1); not one byte may come between its OK and the handshake.

        Raises ImapTlsError, ssl.SSLError, OSError and TimeoutError.
        """
        exchange = await self.start(Command("STARTTLS", (b"",)), seconds)
        if (await exchange.finished).status != "OK":
            raise ImapTlsError(TlsFault.STARTTLS_REFUSED)
        if self.link.unread:
            raise ImapTlsError(TlsFault.INJECTED)
        async with asyncio.timeout(seconds):
            await self.link.secure(context, server_hostname)

    async def close(self) -> None:
        """Ends the connection, if it has not ended, and returns when its socket is closed."""
        self.link.end(ImapClosed)
        await self.link.pipe.gone()

    # --- what the link tells ----------------------------------------------------------------------

    def received(self, response: Response) -> None:
        """See link.Receiver."""
        if self._greeting is not None and not self._greeting.done():
            self._greet(self._greeting, response)
        elif isinstance(response, Tagged):
            self._finish(response)
        elif isinstance(response, Continuation):
            if self._talking is not None:
                self._notice(f"imap:read:{self._talking.name}")
                self._talking.continued(response.text)
        elif isinstance(response, Condition) and response.status == "BYE":
            self._take_leave(response)
        elif not isinstance(response, Malformed):
            self._offer(response)

    def farewell(self) -> ErrorMaker:
        """See link.Receiver."""
        return self._bye or ImapClosed

    def ended(self, error: ErrorMaker) -> None:
        """See link.Receiver."""
        self.pace.stop()
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_exception(error())
            self._greeting.exception()  # nobody may be waiting for it
        for exchange in self._exchanges.values():
            exchange.fail(error())
        self._exchanges.clear()
        if self.listener is not None:
            self.listener.lost()

    def _greet(self, greeting: asyncio.Future[Condition], response: Response) -> None:
        if self._bye is not None:
            return
        if not isinstance(response, Condition) or response.status not in {"OK", "PREAUTH", "BYE"}:
            raise ImapProtocolError
        if response.status == "BYE":
            self._take_leave(response)
        else:
            self._notice("imap:read:greeting")
            greeting.set_result(response)

    def _take_leave(self, bye: Condition) -> None:
        """The server is to close now; what comes along with its BYE (a NO, say) is still heard."""
        self._bye = partial(refused, bye)
        self._loop.call_later(BYE_GRACE_SECONDS, self.link.end, self._bye)

    def _finish(self, tagged: Tagged) -> None:
        exchange = self._exchanges.pop(tagged.tag, None)
        if exchange is None:
            return
        self._notice(f"imap:read:{exchange.name}")
        if exchange.literal_cap:
            self._allow_literals()
        if exchange.name == "STARTTLS":
            self.link.pause()
        exchange.finish(tagged)

    def _offer(self, response: Untagged) -> None:
        for exchange in self._exchanges.values():
            if exchange.take(response):
                return
        if self.listener is not None:
            self.listener.heard(response)

    # --- sending ---------------------------------------------------------------------------------

    def _turn(self) -> asyncio.Lock:
        """Held by who sends, so that commands with literals, and IDLE, are not mixed with others."""
        if self._idling:
            raise RuntimeError("no command can be sent during IDLE")
        return self._sending

    def _begin(self, name: str, seconds: float, claim: Claim | None = None, literal_cap: int = 0) -> Exchange:
        if self.link.error is not None:
            raise self.link.error()
        self._count += 1
        exchange = Exchange(self._loop, name, f"P{self._count}", claim, literal_cap)
        self._exchanges[exchange.tag] = self._talking = exchange
        if literal_cap:
            self._allow_literals()
        self.pace.expect(exchange, seconds)
        return exchange

    async def _send(self, exchange: Exchange, blocks: tuple[bytes, ...]) -> None:
        with self._whole():
            for index, block in enumerate(blocks):
                if index and await exchange.continuation() is None:
                    return
                self._notice(f"imap:write:{exchange.name}")
                await self.link.write_all(block)

    def _write(self, exchange: Exchange, line: bytes) -> None:
        self._notice(f"imap:write:{exchange.name}")
        self.link.write(line)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Half a command is worse than none: a sender who is cancelled in the middle ends the link."""
        try:
            yield
        except asyncio.CancelledError:
            self.link.end(ImapClosed)
            raise

    def _leave_idle(self, exchange: Exchange, seconds: float) -> None:
        if not exchange.finished.done():
            self._write(exchange, b"DONE\r\n")
            self.pace.expect(exchange, seconds)

    def _allow_literals(self) -> None:
        self.link.allow_literals(max((each.literal_cap for each in self._exchanges.values()), default=0))


def _unnoticed(step: str) -> None:
    """Nobody wants to know."""
