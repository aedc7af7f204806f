"""An IMAP server that says exactly what a test tells it to, over a real socket, with or without TLS.

    async def script(peer: Peer) -> None:
        await peer.send("* OK ready")
        login = await peer.expect("LOGIN")
        await peer.send(f"{login.tag} OK welcome")

    async with ScriptedImap(script, tls=certificate.context()) as server:
        ...connect to server.address...

Each connection runs the script anew. What a peer received, before TLS and in it, stays in `server.peers`.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

from postroom.imap.wire import ClientCommand, ClientEvent, CommandReader, Limits, LiteralAnnounced

PATIENCE = 10.0
"""Seconds after which a script that waits for its client fails."""

_LIMITS = Limits(literal=64 << 20)


class ScriptError(AssertionError):
    """The client did something else than the script expects."""


@dataclass
class Peer:
    """One client, as its script sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    received: bytearray = field(default_factory=bytearray)
    commands: list[ClientCommand] = field(default_factory=list)
    gone: bool = False
    _wire: CommandReader = field(default_factory=lambda: CommandReader(_LIMITS))

    async def send(self, *lines: str | bytes) -> None:
        """Sends lines, each with CRLF."""
        for line in lines:
            await self.send_raw((line.encode() if isinstance(line, str) else line) + b"\r\n")

    async def send_raw(self, data: bytes) -> None:
        """Sends exactly these bytes."""
        self.writer.write(data)
        await self.writer.drain()
        await asyncio.sleep(0)  # drain alone need not let the loop see that the client is gone

    async def send_slowly(self, data: bytes) -> None:
        """Sends bytes one at a time, each in a packet of its own as far as the system allows."""
        for index in range(len(data)):
            await self.send_raw(data[index : index + 1])

    async def receive(self) -> ClientCommand:
        """The client's next command. Literals that wait for a `+` get one."""
        while True:
            event = await self.next_event()
            if isinstance(event, ClientCommand):
                return event
            if event.waits:
                await self.send("+ go on")

    async def next_event(self) -> ClientEvent:
        """The client's next command, or the literal that it announces."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self._wire:
                    if isinstance(event, ClientCommand):
                        self.commands.append(event)
                    return event
                data = await self.reader.read(65536)
                if not data:
                    self.gone = True
                    raise ConnectionResetError
                self.received += data
                self._wire.feed(data)

    async def expect(self, name: str) -> ClientCommand:
        """The client's next command, which has to have this name (`UID FETCH`; `` for a line of one word)."""
        command = await self.receive()
        if command.name != name:
            raise ScriptError(f"expected {name}, got {command.name or command.line!r}")
        return command

    async def answer(self, name: str, *untagged: str | bytes, status: str = "OK done") -> ClientCommand:
        """Expects a command and answers it: untagged lines (without CRLF), then the tagged one."""
        command = await self.expect(name)
        await self.send(*untagged, f"{command.tag} {status}")
        return command

    async def log_in(self, capabilities: str = "IMAP4rev1 IDLE UIDPLUS LITERAL+") -> None:
        """The usual beginning: greeting with capabilities, AUTHENTICATE or LOGIN, accepted."""
        await self.send(f"* OK [CAPABILITY {capabilities} AUTH=PLAIN SASL-IR] ready")
        command = await self.receive()
        if command.name not in {"LOGIN", "AUTHENTICATE"}:
            raise ScriptError(f"expected a login, got {command.name}")
        await self.send(f"{command.tag} OK [CAPABILITY {capabilities}] welcome")

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """The server's side of the handshake, after the OK to STARTTLS has been sent."""
        await self.writer.start_tls(context, ssl_handshake_timeout=PATIENCE)

    async def hang(self) -> None:
        """Says nothing more until the client goes away."""
        while not self.gone:
            data = await self.reader.read(65536)
            self.received += data
            self.gone = not data

    def reset(self) -> None:
        """Ends the connection without ceremony."""
        self.writer.transport.abort()


Script: TypeAlias = Callable[[Peer], Awaitable[None]]


class ScriptedImap:
    """The server; as a context manager it listens on a free port of loopback.

    A ScriptError, or anything else that a script raises but a lost connection, is raised when the context is
    left.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self.peers: list[Peer] = []

    @property
    def address(self) -> tuple[str, int]:
        """The IP address and port to connect to."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    @property
    def received(self) -> bytes:
        """Everything that any client sent, as read by the scripts."""
        return b"".join(bytes(peer.received) for peer in self.peers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in self.peers:
            peer.writer.transport.abort()
        if error is None and self._failures:
            raise self._failures[0]

    async def finished(self) -> None:
        """Returns when every script that was begun has come to its end."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self._tasks.add(asyncio.ensure_future(self._serve(peer, writer)))

    async def _serve(self, peer: Peer, writer: asyncio.StreamWriter) -> None:
        try:
            await self._script(peer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            peer.gone = True
        except Exception as exc:  # noqa: BLE001 - raised in __aexit__, where the test sees it
            self._failures.append(exc)
        finally:
            writer.transport.abort()


__all__ = ["PATIENCE", "LiteralAnnounced", "Peer", "Script", "ScriptError", "ScriptedImap"]
