"""The floor of `idle` and `start`: connections that do nothing but IDLE and poll, in a process of its own.

`python -m bench.bare_idle PORT CA COUNT POLL_SECONDS`; it says on its standard output how many seconds
it took until all connections IDLE, and ends with its standard input.
"""

import asyncio
import os
import random
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.light_imap import raise_file_limit

AT_ONCE = 50


class Idler(asyncio.Protocol):
    """One connection: LOGIN, SELECT, IDLE, and every so often DONE, NOOP, IDLE. No server misbehaves here."""

    __slots__ = ("_loop", "_poll", "_todo", "_transport", "_user", "idling")

    def __init__(self, loop: asyncio.AbstractEventLoop, number: int, poll: float) -> None:
        self._loop = loop
        self._poll = poll
        self._user = b"bare%d@bench.test" % number
        self._todo = [b"IDLE", b"SELECT INBOX", b"LOGIN " + self._user + b" pw"]
        self._transport: asyncio.WriteTransport | None = None
        self.idling: asyncio.Future[None] | None = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server greets first."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no asyncio transports

    def data_received(self, data: bytes) -> None:
        """The next command when the last one has ended."""
        if data.startswith(b"+"):
            self._began()
        elif self._todo and (b"a OK" in data or data.startswith(b"* OK [CAP")):
            self._say(b"a " + self._todo.pop() + b"\r\n")

    def _began(self) -> None:
        if self.idling is not None:
            self.idling.set_result(None)
            self.idling = None
            self._loop.call_later(self._poll * random.uniform(0.5, 1), self._look)
        else:
            self._loop.call_later(self._poll, self._look)

    def _look(self) -> None:
        self._todo = [b"IDLE", b"NOOP"]
        self._say(b"DONE\r\n")

    def _say(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)


async def _keep(port: int, context: ssl.SSLContext, count: int, poll: float) -> None:
    loop = asyncio.get_running_loop()
    begun = time.monotonic()
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        idler = Idler(loop, number, poll)
        idling = idler.idling
        assert idling is not None
        async with places:
            await loop.create_connection(lambda: idler, "localhost", port, ssl=context)
            await idling

    await asyncio.gather(*(one(number) for number in range(count)))
    print(f"{time.monotonic() - begun:.3f}", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


@contextmanager
def bare_idlers(port: int, ca_file: Path, count: int, poll: float) -> Iterator[tuple[int, float]]:
    """So many connections that IDLE; the process id, and the seconds until all did."""
    command = [sys.executable, "-m", "bench.bare_idle", str(port), str(ca_file), str(count), str(poll)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1], env=os.environ
    ) as process:
        assert process.stdout is not None
        try:
            yield process.pid, float(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    import uvloop

    raise_file_limit()
    trusting = ssl.create_default_context(cafile=sys.argv[2])
    uvloop.run(_keep(int(sys.argv[1]), trusting, int(sys.argv[3]), float(sys.argv[4])))
