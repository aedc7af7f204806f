"""An HTTP/1.1 server on loopback whose every answer the test writes, down to closing or saying nothing."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came over the wire; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Scripted:
    """One answer. `raw` replaces the whole response; `silent` sends nothing until the client goes away;
    `close` closes after what was sent. A `content-length` is added unless the headers frame the body."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes | None = None
    silent: bool = False
    close: bool = False

    def encoded(self) -> bytes:
        """The bytes on the wire."""
        if self.raw is not None:
            return self.raw
        framed = {name.lower() for name in self.headers} & {"content-length", "transfer-encoding"}
        headers = self.headers if framed else self.headers | {"content-length": str(len(self.body))}
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


def json_answer(document: Any, status: int = 200, **headers: str) -> Scripted:
    """An answer with a JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(status, {"content-type": "application/json"} | named, json.dumps(document).encode())


@dataclass(slots=True)
class ScriptedHttp:
    """The running server: where it listens, what it received, how many connections it took."""

    port: int
    scheme: str
    respond: Callable[[Received], Scripted]
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """A URL of this server, under any name."""
        return f"{self.scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def scripted_http(
    respond: Callable[[Received], Scripted], tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedHttp]:
    """Serve on a free port of 127.0.0.1 until the block ends."""
    state = ScriptedHttp(0, "https" if tls else "http", respond)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        state.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            while await _serve_one(state, reader, writer):
                pass
        writer.close()
        with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
            await writer.wait_closed()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _serve_one(state: ScriptedHttp, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    request = await _read_request(reader)
    if request is None:
        return False
    state.received.append(request)
    answer = state.respond(request)
    if answer.silent:
        await reader.read()
        return False
    writer.write(answer.encoded())
    await writer.drain()
    return not answer.close


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    first = await reader.readline()
    if not first.strip():
        return None
    method, path, _ = first.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)
