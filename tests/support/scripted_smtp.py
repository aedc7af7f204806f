"""A submission server over a real socket that behaves well, but for what a test tells it to do.

    async with ScriptedSmtp(tls=context, on={"rcpt": ["250 ok", "550 5.1.1 nobody"], "dot": CLOSE}) as server:
        ...connect to server.port...
    server.messages, server.commands, server.plain_text

`on` says how to react to a phase: `banner, ehlo, starttls, auth, mail, rcpt, data, mid-data, dot, rset, noop,
quit`. A reaction is the lines of a reply, `Drip(reply)`, `Late(reply, seconds)`, `Raw(bytes)`, `CLOSE`,
`HANG` (reads on and says nothing) or `STALL` (reads no more); a list is used up one by one, a single reaction
stays. `mid-data` happens when the first bytes of a message were read, `dot` after its end.
"""

import asyncio
import re
import ssl
from base64 import b64decode
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self, TypeAlias

PATIENCE = 10.0
"""Seconds after which waiting for a client fails the test."""


class Deed(Enum):
    """What a server does instead of answering."""

    CLOSE = "close"
    HANG = "hang"
    STALL = "stall"


CLOSE, HANG, STALL = Deed.CLOSE, Deed.HANG, Deed.STALL


@dataclass(frozen=True, slots=True)
class Drip:
    """A reply that comes byte by byte, with so many seconds between them."""

    reply: str
    pace: float = 0.001


@dataclass(frozen=True, slots=True)
class Late:
    """A reply that comes after so many seconds of the loop."""

    reply: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Raw:
    """Exactly these bytes instead of a reply."""

    data: bytes


Reaction: TypeAlias = str | Deed | Drip | Late | Raw

EXTENSIONS = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
MECHANISMS = "AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER"

_USUAL = {
    "banner": "220 peer.example.test ESMTP",
    "starttls": "220 2.0.0 go ahead",
    "auth": "235 2.7.0 welcome",
    "mail": "250 2.1.0 ok",
    "rcpt": "250 2.1.5 ok",
    "data": "354 go on",
    "dot": "250 2.0.0 queued",
    "rset": "250 2.0.0 ok",
    "noop": "250 2.0.0 ok",
    "quit": "221 2.0.0 bye",
}


class _Gone(Exception):
    """The client left, or the script made the server leave."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message that this server took."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes = field(repr=False)


class ScriptedSmtp:
    """The server; as a context manager it listens on a free port of loopback.

    `tls`: its context, from the start, or by STARTTLS with `starttls=True`. `extensions`: what EHLO shows
    beside AUTH and STARTTLS. `mechanisms`: its AUTH line.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext,
        starttls: bool = False,
        on: Mapping[str, Reaction | Sequence[Reaction]] | None = None,
        extensions: Sequence[str] = EXTENSIONS,
        mechanisms: str = MECHANISMS,
        offers_starttls: bool = True,
    ) -> None:
        self.tls, self.starttls = tls, starttls
        self.extensions, self.mechanisms, self.offers_starttls = extensions, mechanisms, offers_starttls
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.credentials: list[str] = []
        self.plain_text = b""
        self.connections = 0
        self.open_now = 0
        self.most_open = 0
        self.changed = asyncio.Condition()
        self._reactions: dict[str, Reaction | deque[Reaction]] = {}
        for phase, reaction in (on or {}).items():
            self.on(phase, reaction)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._failures: list[BaseException] = []

    async def push(self, data: bytes) -> None:
        """Say something to every client without having been asked."""
        for writer in self._writers:
            writer.write(data)
            await writer.drain()

    def on(self, phase: str, reaction: Reaction | Sequence[Reaction]) -> None:
        """React so to a phase from now on."""
        single = isinstance(reaction, str | Deed | Drip | Late | Raw)
        self._reactions[phase] = reaction if single else deque(reaction)  # type: ignore[arg-type,assignment] # told apart by `single`

    def reaction(self, phase: str) -> Reaction | None:
        """What comes next in this phase; None for the usual."""
        planned = self._reactions.get(phase)
        if isinstance(planned, deque):
            return planned.popleft() if planned else None
        return planned

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def heard(self, verb: str) -> list[str]:
        """The commands that begin with this word."""
        return [command for command in self.commands if command.upper().startswith(verb)]

    async def until_open(self, count: int) -> None:
        """Return when so many connections are open."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: self.open_now == count)

    async def __aenter__(self) -> Self:
        context = None if self.starttls else self.tls
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if error is None and self._failures:
            raise self._failures[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self._writers.add(writer)
        await self._count(1)
        try:
            await _Session(self, reader, writer).run()
        except (_Gone, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass  # cancelled only by __aexit__, which waits for the end of this task
        except Exception as exc:  # noqa: BLE001 - raised in __aexit__, where the test sees it
            self._failures.append(exc)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            await self._count(-1)

    async def _count(self, change: int) -> None:
        async with self.changed:
            self.open_now += change
            self.most_open = max(self.most_open, self.open_now)
            self.changed.notify_all()


class _Session:
    """One client's connection."""

    def __init__(
        self, server: ScriptedSmtp, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.buffer = b""
        self.secure = not server.starttls
        self.sender = ""
        self.recipients: list[str] = []

    async def run(self) -> None:
        await self.react("banner")
        while True:
            line = (await self.read_until(b"\r\n")).decode("utf-8")
            self.server.commands.append(line)
            verb = line.partition(" ")[0].lower()
            handler = getattr(self, f"on_{verb}", None)
            if handler is None:
                await self.say("502 5.5.2 not here")
            else:
                await handler(line)

    async def on_ehlo(self, line: str) -> None:
        lines = ["peer.example.test", *self.server.extensions]
        if self.secure and self.server.mechanisms:
            lines.append(self.server.mechanisms)
        if not self.secure and self.server.offers_starttls:
            lines.append("STARTTLS")
        self.usual = "\r\n".join(f"250{'-' if text is not lines[-1] else ' '}{text}" for text in lines)
        await self.react("ehlo", self.usual)

    async def on_starttls(self, line: str) -> None:
        await self.react("starttls")
        await self.writer.start_tls(self.server.tls, ssl_handshake_timeout=PATIENCE)
        self.secure = True

    async def on_auth(self, line: str) -> None:
        _, mechanism, *initial = line.split(" ")
        if mechanism == "LOGIN":
            answers = [await self.ask("334 VXNlcm5hbWU6"), await self.ask("334 UGFzc3dvcmQ6")]
        else:
            answers = [initial[0] if initial else await self.ask("334 ")]
        self.server.credentials.append(f"{mechanism} " + " ".join(b64decode(a).decode() for a in answers))
        await self.react("auth")

    async def on_mail(self, line: str) -> None:
        self.sender, self.recipients = _path_of(line), []
        await self.react("mail")

    async def on_rcpt(self, line: str) -> None:
        if (await self.react("rcpt")).startswith("2"):
            self.recipients.append(_path_of(line))

    async def on_data(self, line: str) -> None:
        if not (await self.react("data")).startswith("3"):
            return
        early = self.server.reaction("mid-data")
        if early is not None:
            await self.read_some()
            await self.perform(early)
            raise _Gone
        data = await self.read_message()
        if (await self.react("dot")).startswith("2"):
            self.server.messages.append(Received(self.sender, tuple(self.recipients), data))

    async def on_rset(self, line: str) -> None:
        await self.react("rset")

    async def on_noop(self, line: str) -> None:
        await self.react("noop")

    async def on_quit(self, line: str) -> None:
        await self.react("quit")
        raise _Gone

    # --- saying and reading -----------------------------------------------------------------------

    async def react(self, phase: str, usual: str = "") -> str:
        """Do what is planned for this phase; gives the reply that was said."""
        reaction = self.server.reaction(phase) or usual or _USUAL[phase]
        while reaction == "334 reason":  # a challenge that explains a refusal, answered by the client
            await self.ask(str(reaction))
            reaction = self.server.reaction(phase) or "535 5.7.8 no"
        return await self.perform(reaction)

    async def perform(self, reaction: Reaction) -> str:
        if reaction is CLOSE:
            raise _Gone
        if reaction is HANG:
            await self.wait_for_the_client_to_leave()
        if reaction is STALL:
            self.writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket transport has it
            await asyncio.Event().wait()
        if isinstance(reaction, Drip):
            for character in f"{reaction.reply}\r\n".encode():
                self.writer.write(bytes([character]))
                await asyncio.sleep(reaction.pace)
            return reaction.reply
        if isinstance(reaction, Late):
            await asyncio.sleep(reaction.seconds)
            await self.say(reaction.reply)
            return reaction.reply
        if isinstance(reaction, Raw):
            self.writer.write(reaction.data)
            await self.writer.drain()
            return reaction.data.decode("latin-1")
        await self.say(str(reaction))
        return str(reaction)

    async def say(self, reply: str) -> None:
        self.writer.write(f"{reply}\r\n".encode())
        await self.writer.drain()

    async def ask(self, challenge: str) -> str:
        await self.say(challenge)
        return (await self.read_until(b"\r\n")).decode()

    async def read_some(self) -> None:
        data = await self.reader.read(65536)
        if not data:
            raise _Gone
        if not self.secure:
            self.server.plain_text += data
        self.buffer += data

    async def read_until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            await self.read_some()
        found, _, self.buffer = self.buffer.partition(end)
        return found

    async def read_message(self) -> bytes:
        while not (self.buffer.startswith(b".\r\n") or b"\r\n.\r\n" in self.buffer[-7:]):
            await self.read_some()
        wire, self.buffer = self.buffer, b""
        return re.sub(rb"(?m)^\.", b"", wire.removesuffix(b".\r\n"))

    async def wait_for_the_client_to_leave(self) -> None:
        while True:
            await self.read_some()


def _path_of(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
