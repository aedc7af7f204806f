"""One SMTP connection: commands with a deadline each, foreign exceptions in our words."""

import asyncio
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import cast

from aiosmtplib import SMTPException, SMTPResponseException, SMTPServerDisconnected, SMTPTimeoutError
from aiosmtplib.response import SMTPResponse

from postroom.adapters.smtp_replies import SERVICE_CLOSING, one_line, refused_greeting
from postroom.adapters.smtp_wire import SmtpWire
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.ports import Steps
from postroom.core.submission import SmtpReply

_GOODBYE_SECONDS = 1.0
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_COMMANDS = frozenset((b"EHLO", b"AUTH", b"MAIL", b"RCPT", b"DATA", b"RSET"))


@dataclass(frozen=True, slots=True)
class SmtpDeadlines:
    """Seconds after which a silent server is given up, by phase (RFC 5321 section 4.5.3.2 asks for more or as
    much, but for the first two: a person waits there).

    `connect`: TCP, and again TLS. `command`: a reply to a command. `reuse`: the reply to MAIL on a connection
    that was kept. `block`: until the next block of a message is taken. `reply`: after the final dot.
    `probe`: a whole check.
    """

    connect: float = 10.0
    command: float = 60.0
    reuse: float = 10.0
    block: float = 180.0
    reply: float = 600.0
    probe: float = 12.0


class SmtpConnection:
    """A connection over which commands go out one after another.

    Every method raises `MailServerError` when the connection fails; it is aborted then. `extensions` are the
    EHLO keywords (upper case) with their parameters. `steps` hears of `smtp:write:NAME` just before something
    is sent and of `smtp:read:NAME` once a reply was read: NAME is a command (what answers a challenge of AUTH
    is `challenge`), `greeting` or `message`.
    """

    def __init__(self, wire: SmtpWire, deadlines: SmtpDeadlines, steps: Steps) -> None:
        self.wire = wire
        self.deadlines = deadlines
        self._steps = steps
        self.extensions: Mapping[str, str] = {}
        self._leaving = False
        self._ahead: deque[bytes] = deque()

    @property
    def usable(self) -> bool:
        """Whether another command may be sent: connected, and the server has not taken its leave."""
        silent = not self.wire.spoke_unasked and not self._ahead
        return self.wire.is_connected and not self._leaving and silent

    async def greeting(self) -> None:
        """Read the server's greeting. Raises when it is not 2xx."""
        with self._translated():
            response = await self.wire.read_response(self.deadlines.command)
        self._steps.reached("smtp:read:greeting")
        reply = self._noted(response)
        if not reply.accepted:
            raise refused_greeting(reply)

    async def hello(self) -> None:
        """EHLO with our address literal (RFC 5321 section 4.1.3); learns the extensions anew."""
        self.extensions = {}
        response = await self._execute((b"EHLO", self._address_literal()), self.deadlines.command)
        reply = self._noted(response)
        if not reply.accepted:
            raise refused_greeting(reply)
        self.extensions = extensions_of(response.message)

    def say_ahead(self, lines: Sequence[bytes]) -> None:
        """Send several commands at once (RFC 2920); `command` then gives the reply to each in its turn."""
        self._ahead.extend(lines)
        self._steps.reached(f"smtp:write:{_step(lines[0])}")
        with self._translated():
            self.wire.expect(len(lines))
            self.wire.write(b"".join(line + b"\r\n" for line in lines))

    async def hear_out(self) -> None:
        """Take the replies to commands said ahead that nobody wants any more."""
        while self._ahead:
            await self.command(self._ahead[0])

    async def command(self, *words: bytes, seconds: float | None = None) -> SmtpReply:
        """Send a command and give the reply, whatever it says."""
        if self._ahead:
            return await self._reply_to_ahead(b" ".join(words), seconds or self.deadlines.command)
        return self._noted(await self._execute(words, seconds or self.deadlines.command))

    async def _execute(self, words: Sequence[bytes], seconds: float) -> SMTPResponse:
        step = _step(words[0])
        self._steps.reached(f"smtp:write:{step}")
        with self._translated():
            response = await self.wire.execute_command(*words, timeout=seconds)
        self._steps.reached(f"smtp:read:{step}")
        return response

    async def _reply_to_ahead(self, line: bytes, seconds: float) -> SmtpReply:
        said = self._ahead.popleft()
        assert said == line, "commands are taken up in the order in which they were said ahead"
        with self._translated():
            async with asyncio.timeout(seconds):
                response = await self.wire.next_reply()
        self._steps.reached(f"smtp:read:{_step(line)}")
        return self._noted(response)

    async def reply(self, seconds: float) -> SmtpReply:
        """The reply to a message, or to what was written of it, within `seconds`."""
        with self._translated():
            response = await self.wire.read_response(seconds)
        self._steps.reached("smtp:read:message")
        return self._noted(response)

    def put(self, data: bytes) -> None:
        """Write some of a message without waiting. When it raises, not one byte of `data` was sent."""
        self._steps.reached("smtp:write:message")
        with self._translated():
            self.wire.write(data)

    async def write(self, data: bytes) -> None:
        """Write some of a message, and return when there is room for more."""
        self.put(data)
        await asyncio.sleep(0)
        if not self.wire.has_room:
            with self._translated():
                async with asyncio.timeout(self.deadlines.block):
                    await self.wire.drained()

    def abort(self) -> None:
        """End the connection at once, without a word."""
        if self.wire.transport is not None:
            cast("asyncio.WriteTransport", self.wire.transport).abort()

    def hang_up(self) -> None:
        """Say QUIT and close, without waiting for the answer, which changes nothing any more."""
        if self.wire.is_connected and self.wire.transport is not None:
            self._steps.reached("smtp:write:QUIT")
            self.wire.write(b"QUIT\r\n")
            self.wire.transport.close()

    async def close(self) -> None:
        """Hang up and return when the socket is closed, by force after a second."""
        self.hang_up()
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self.wire.gone()
        except TimeoutError:
            self.abort()
            await self.wire.gone()

    def _noted(self, response: SMTPResponse) -> SmtpReply:
        if not 200 <= response.code <= 599:
            self.abort()
            raise _malformed()
        if response.code == SERVICE_CLOSING:
            self._leaving = True
        return SmtpReply(response.code, one_line(response.message))

    def _address_literal(self) -> bytes:
        assert self.wire.transport is not None
        own = self.wire.transport.get_extra_info("sockname")
        address = ip_address(str(own[0]).partition("%")[0])
        return f"[IPv6:{address}]".encode() if address.version == 6 else f"[{address}]".encode()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SMTPTimeoutError, TimeoutError) as exc:
            self.abort()
            raise MailServerError(ServerCode.TIMEOUT, "the server did not answer in time") from exc
        except SMTPResponseException as exc:
            self.abort()
            raise _malformed() from exc
        except (SMTPServerDisconnected, SMTPException, OSError) as exc:
            self.abort()
            raise MailServerError(
                ServerCode.CONNECT_FAILED, "the server closed the connection unexpectedly"
            ) from exc
        except asyncio.CancelledError:
            self.abort()
            raise


def extensions_of(message: str) -> dict[str, str]:
    """The keywords of an EHLO reply (RFC 5321 section 4.1.1.1) in upper case, each with its parameters."""
    found: dict[str, str] = {}
    for line in message.split("\n")[1:]:
        # AUTH=LOGIN is how some servers still say AUTH LOGIN.
        keyword, _, parameters = line.strip().replace("AUTH=", "AUTH ", 1).partition(" ")
        if _KEYWORD.fullmatch(keyword):
            name = keyword.upper()
            found[name] = f"{found.get(name, '')} {parameters.strip().upper()}".strip()
    return found


def _step(line: bytes) -> str:
    """What a step is called by the line sent; anything but a command may be a secret."""
    verb = line.partition(b" ")[0]
    return verb.decode("ascii") if verb in _COMMANDS else "challenge"


def _malformed() -> MailServerError:
    return MailServerError(ServerCode.PROTOCOL_ERROR, "the server answered what is not SMTP")
