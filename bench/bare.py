"""The floor: a mail client that does the least that is possible and stores nothing."""

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_LIMIT = 1 << 20


class BareImap:
    """An IMAP connection over TLS, for well-behaved servers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext, user: str, password: str) -> "BareImap":
        """Connect, log in, select the INBOX."""
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context, limit=_LIMIT)
        client = cls(reader, writer)
        await reader.readline()
        await client.run(f"LOGIN {user} {password}")
        await client.run("SELECT INBOX")
        return client

    async def run(self, command: str) -> None:
        """A command whose responses do not matter."""
        tag = self._send(command)
        while not (await self._reader.readline()).startswith(tag):
            pass

    async def fetch(self, uids: str) -> AsyncIterator[bytes]:
        """The messages with these UIDs, as they come."""
        tag = self._send(f"UID FETCH {uids} (UID BODY.PEEK[])")
        while not (line := await self._reader.readline()).startswith(tag):
            literal = _LITERAL.search(line)
            if literal:
                yield await self._reader.readexactly(int(literal[1]))
                await self._reader.readline()

    async def until_new(self) -> None:
        """IDLE until the server announces something."""
        tag = self._send("IDLE")
        while not (await self._reader.readline()).endswith(b"EXISTS\r\n"):
            pass
        await self._done(tag)

    async def idle(self) -> bytes:
        """Begin to IDLE; the tag that ends it."""
        tag = self._send("IDLE")
        await self._reader.readline()
        return tag

    async def _done(self, tag: bytes) -> None:
        self._writer.write(b"DONE\r\n")
        while not (await self._reader.readline()).startswith(tag):
            pass

    async def stop_idle(self, tag: bytes) -> None:
        """End what `idle` began."""
        await self._done(tag)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    def _send(self, command: str) -> bytes:
        self._number += 1
        tag = b"a%d " % self._number
        self._writer.write(tag + command.encode() + b"\r\n")
        return tag


class BareSmtp:
    """A submission connection, kept; one pipelined group and the data a mail."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext, user: str, password: str) -> "BareSmtp":
        """Connect with TLS from the start and log in."""
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context, limit=_LIMIT)
        client = cls(reader, writer)
        await client._reply()
        await client._command(b"EHLO bench.test")
        token = b64encode(f"\0{user}\0{password}".encode())
        await client._command(b"AUTH PLAIN " + token)
        return client

    async def send(self, sender: str, recipients: Sequence[str], raw: bytes) -> None:
        """Submit one mail; returns once it was accepted."""
        lines = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{to}>" for to in recipients), "DATA"]
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        for _ in lines:
            await self._reply()
        self._writer.write(raw + b".\r\n")
        await self._reply()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def _command(self, line: bytes) -> None:
        self._writer.write(line + b"\r\n")
        await self._reply()

    async def _reply(self) -> None:
        while True:
            line = await self._reader.readline()
            if line[:1] not in b"23" or not line:
                raise ConnectionError("the submission server refused")
            if line[3:4] == b" ":
                return
