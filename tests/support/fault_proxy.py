"""A TCP proxy between a client and a server that can make the network as bad as networks are.

async with FaultProxy(server.address) as proxy:
    ...connect to proxy.address...
    proxy.swallow()      # open connections stay open, and nothing comes through any more
    proxy.pause()        # nothing moves, nothing is lost, also on new connections
    proxy.heal()         # what was paused goes on; what was swallowed is lost
    proxy.cut()          # every connection is reset
    proxy.refuse()       # new connections are reset
    proxy.delay = 0.05   # seconds that every piece takes longer
    proxy.rate = 1.0     # bytes a second from the server, each way of a connection on its own
"""

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 65536
TICK = 0.05
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends RST."""


class _Pair:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.swallowed = self.forgotten = False

    def reset(self) -> None:
        for writer in (self.client, self.server):
            _reset(writer)

    def close(self) -> None:
        for writer in (self.client, self.server):
            writer.close()


class FaultProxy:
    """The proxy; as a context manager it listens on a free port of loopback. `connections` counts what was
    let through, `open_now` and `most_open` what was open at once."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pairs: set[_Pair] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self.delay = 0.0
        self.rate: float | None = None
        self.connections = 0
        self.most_open = 0

    @property
    def address(self) -> tuple[str, int]:
        """The IP address and port to connect to."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    @property
    def open_now(self) -> int:
        """Connections that are open at the client's side; who forgot one cannot have it open."""
        return sum(not pair.forgotten for pair in self._pairs)

    def pause(self) -> None:
        """Let nothing through until `heal`; nothing is lost."""
        self._flowing.clear()

    def swallow(self) -> None:
        """The connections that are open now are dead from here on, and nobody is told (NAT forgot them)."""
        for pair in self._pairs:
            pair.swallowed = True

    def refuse(self) -> None:
        """Reset new connections until `heal`."""
        self._refusing = True

    def cut(self) -> None:
        """Reset every connection."""
        for pair in tuple(self._pairs):
            pair.reset()

    def heal(self) -> None:
        """Everything comes through again, at full speed."""
        self._refusing, self.delay, self.rate = False, 0.0, None
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        pair = _Pair(writer, server_writer)
        self._pairs.add(pair)
        self.connections += 1
        self.most_open = max(self.most_open, self.open_now)
        ways = (
            asyncio.ensure_future(self._pump(pair, reader, server_writer, slow=False)),
            asyncio.ensure_future(self._pump(pair, server_reader, writer, slow=True)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._pairs.discard(pair)
            pair.close()

    async def _pump(
        self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if pair.swallowed:
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)  # the network that is simulated
                await self._flowing.wait()
                await self._pass(writer, data, slow=slow)
            if pair.swallowed:
                pair.forgotten = True
                await asyncio.Event().wait()
            await self._flowing.wait()

    async def _pass(self, writer: asyncio.StreamWriter, data: bytes, *, slow: bool) -> None:
        while data:
            size = len(data)
            if slow and self.rate:
                size = max(int(self.rate * TICK), 1)
                await asyncio.sleep(size / self.rate)  # the network that is simulated
            writer.write(data[:size])
            await writer.drain()
            data = data[size:]


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
