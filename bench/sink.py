"""A submission server of the bench's own: takes everything and notes when it said so."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bench.letters import number_of


class Sink:
    """`accepted`: when (monotonic seconds) the reply to the question with a number was accepted first."""

    def __init__(self) -> None:
        self.accepted: dict[int, float] = {}
        self.port = 0
        self._serving: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._serving[writer] = asyncio.current_task()
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(b"220 sink.bench.test ESMTP\r\n")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    await self._data(reader, writer)
                else:
                    writer.write(_REPLIES.get(verb, b"250 2.0.0 fine\r\n"))
                if verb == b"QUIT":
                    break
        del self._serving[writer]
        writer.close()

    async def end(self) -> None:
        """Hang up on all; returns once their connections are done with."""
        serving = dict(self._serving)
        for writer in serving:
            writer.transport.abort()
        await asyncio.gather(*(task for task in serving.values() if task))

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"354 go on\r\n")
        raw = await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 2.0.0 queued\r\n")
        with suppress(ValueError, StopIteration):  # not one of the bench's mails
            self.accepted.setdefault(number_of(raw), time.monotonic())


@asynccontextmanager
async def running_sink(context: ssl.SSLContext) -> AsyncIterator[Sink]:
    """A sink on a free port of loopback, TLS from the start."""
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, ssl=context, limit=1 << 20)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        await sink.end()


_REPLIES = {
    b"EHLO": b"250-sink.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN\r\n",
    b"AUTH": b"235 2.7.0 welcome\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
