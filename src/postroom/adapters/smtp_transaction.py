"""One mail transaction (RFC 5321 section 3.3): MAIL, RCPT, DATA, and who has the message afterwards.

What a failure means is decided by its phase first. Until the final dot is written the server cannot have
taken the message; from then until its reply nobody knows.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from postroom.adapters.smtp_connection import SmtpConnection
from postroom.adapters.smtp_replies import (
    SERVICE_CLOSING,
    START_MAIL_INPUT,
    about_the_login,
    asks_to_wait,
    refused_login,
)
from postroom.core.errors import MailServerError, OutcomeUnknown, ServerCode, invalid
from postroom.core.model import Login
from postroom.core.ports import Steps
from postroom.core.submission import Envelope, SmtpReply

_BLOCK: Final = 256 * 1024
_LONE_CR_OR_LF: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_QUOTED_LOCAL_PART: Final = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"@')
_NOT_IN_A_PATH: Final = re.compile(r'[\x00-\x20\x7f<>"\x80-\x9f\u2028\u2029]')


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message in the form that DATA wants, without its final dot: CRLF line ends, dots doubled.

    `size` is what SIZE counts (RFC 1870), `eight_bit` whether there are bytes above 127.
    """

    body: bytes
    size: int
    eight_bit: bool

    @classmethod
    def of(cls, raw: bytes) -> "Outgoing":
        """From exact bytes. Lone CR and LF become CRLF; NUL cannot be sent (RFC 5321 section 4.5.2)."""
        if b"\x00" in raw:
            raise invalid("", "a message with NUL bytes cannot be sent")
        if raw.count(b"\r\n") != raw.count(b"\n") or raw.count(b"\r\n") != raw.count(b"\r"):
            raw = _LONE_CR_OR_LF.sub(b"\r\n", raw)
        if not raw.endswith(b"\r\n"):
            raw += b"\r\n"
        stuffed = raw.replace(b"\r\n.", b"\r\n..")
        return cls(b"." + stuffed if raw.startswith(b".") else stuffed, len(raw), not raw.isascii())

    def halves(self) -> tuple[Iterator[bytes], Iterator[bytes]]:
        """The body in blocks, cut in the middle."""
        middle = len(self.body) // 2
        return self._blocks(0, middle), self._blocks(middle, len(self.body))

    def _blocks(self, begin: int, end: int) -> Iterator[bytes]:
        for start in range(begin, end, _BLOCK):
            yield self.body[start : min(start + _BLOCK, end)]


class Transaction:
    """Hands one message over on a connection that is logged in.

    Use `begin`, which may be repeated on another connection as long as it fails, then `finish`.
    """

    def __init__(self, login: Login, envelope: Envelope, message: Outgoing, steps: Steps) -> None:
        self._login = login
        self._envelope = envelope
        self._message = message
        self._steps = steps
        self._recipients = tuple(dict.fromkeys(envelope.recipients))

    async def begin(self, connection: SmtpConnection, seconds: float) -> Mapping[str, SmtpReply] | None:
        """MAIL. None when it was accepted, else the refusal for every recipient.

        Raises `MailServerError` when the refusal is about the session: 421, or the login after all.
        """
        self._steps.reached("smtp:connected")
        refusal = _unfit(self._envelope, self._message, connection.extensions)
        if refusal is None:
            if "PIPELINING" in connection.extensions:
                self._name_all(connection)
            reply = await connection.command(*self._mail(connection.extensions), seconds=seconds)
            if reply.accepted:
                self._steps.reached("smtp:mail")
                return None
            if reply.code == SERVICE_CLOSING:
                raise asks_to_wait(reply)
            if about_the_login(reply):
                raise refused_login(reply, self._login)
            refusal = reply
            with suppress(MailServerError):  # it is refused whatever they are
                await connection.hear_out()
        return dict.fromkeys(self._recipients, refusal)

    def _name_all(self, connection: SmtpConnection) -> None:
        """MAIL and every RCPT in one go (RFC 2920). Not DATA: a server that refuses all recipients and asks
        for the message nevertheless would have to be hung up on."""
        paths = (_path(recipient, self._envelope.smtputf8) for recipient in self._recipients)
        mail = b" ".join(self._mail(connection.extensions))
        connection.say_ahead([mail, *(_rcpt(path) for path in paths if path)])

    async def finish(
        self, connection: SmtpConnection, transmitting: Callable[[], Awaitable[None]]
    ) -> Mapping[str, SmtpReply]:
        """RCPT, DATA, the bytes, the reply. As `core.ports.MailSubmission.submit` promises."""
        replies: dict[str, SmtpReply] = {}
        try:
            await self._name_recipients(connection, replies)
            accepted = [recipient for recipient in self._recipients if recipient not in replies]
            if not accepted:
                return replies
            answer = await self._ask_for_data(connection)
        except MailServerError as exc:
            return self._interrupted(replies, exc)
        if answer is None:
            await transmitting()
            answer = await self._transmit(connection)
        return replies | dict.fromkeys(accepted, answer)

    async def _name_recipients(self, connection: SmtpConnection, replies: dict[str, SmtpReply]) -> None:
        """RCPT for each; refusals go into `replies`."""
        for recipient in self._recipients:
            path = _path(recipient, self._envelope.smtputf8)
            reply = await connection.command(_rcpt(path)) if path else _NO_ADDRESS
            if reply.code == SERVICE_CLOSING:
                raise asks_to_wait(reply)
            if not reply.accepted:
                replies[recipient] = reply
        self._steps.reached("smtp:rcpt")

    async def _ask_for_data(self, connection: SmtpConnection) -> SmtpReply | None:
        """DATA. None when the server is ready for the message, else its refusal."""
        reply = await connection.command(b"DATA")
        if reply.code == START_MAIL_INPUT:
            self._steps.reached("smtp:354")
            return None
        if reply.code == SERVICE_CLOSING:
            raise asks_to_wait(reply)
        if reply.code < 400:
            connection.abort()
            raise MailServerError(ServerCode.PROTOCOL_ERROR, f"the server answered DATA with {reply.code}")
        return reply

    def _interrupted(self, replies: dict[str, SmtpReply], exc: MailServerError) -> Mapping[str, SmtpReply]:
        """What is already refused stays so; for the others it is as if 451 had been said (RFC 5321 3.8)."""
        if not replies:
            raise exc
        return dict.fromkeys(self._recipients, SmtpReply(451, f"4.4.2 {exc.text}")) | replies

    async def _transmit(self, connection: SmtpConnection) -> SmtpReply:
        """The message and the final dot, then the reply to it."""
        connection.wire.await_reply()
        first, second = self._message.halves()
        early = await _send(connection, first)
        self._steps.reached("smtp:data-half")
        *blocks, last = second
        early = early or await _send(connection, blocks)
        if early:
            return await self._verdict_before_the_end(connection)
        connection.put(last + b".\r\n")
        self._steps.reached("smtp:data-sent")
        reply = await self._verdict(connection)
        self._steps.reached("smtp:reply")
        return reply

    async def _verdict_before_the_end(self, connection: SmtpConnection) -> SmtpReply:
        """A server that has heard enough: its refusal counts, and the connection is of no use any more."""
        try:
            reply = await connection.reply(connection.deadlines.command)
        finally:
            connection.abort()
        if reply.code < 400:
            raise _nobody_knows()
        return reply

    async def _verdict(self, connection: SmtpConnection) -> SmtpReply:
        try:
            reply = await connection.reply(connection.deadlines.reply)
        except MailServerError as exc:
            raise _nobody_knows() from exc
        if 300 <= reply.code < 400:
            connection.abort()
            raise _nobody_knows()
        return reply

    def _mail(self, extensions: Mapping[str, str]) -> Iterator[bytes]:
        yield b"MAIL"
        yield b"FROM:" + (_path(self._envelope.sender, self._envelope.smtputf8) or b"<>")
        if "SIZE" in extensions:
            yield f"SIZE={self._message.size}".encode()
        if self._message.eight_bit and "8BITMIME" in extensions:
            yield b"BODY=8BITMIME"
        if self._envelope.smtputf8:
            yield b"SMTPUTF8"


async def _send(connection: SmtpConnection, blocks: Iterable[bytes]) -> bool:
    """Write the blocks; True, and not all was written, when the server has answered meanwhile."""
    for block in blocks:
        await connection.write(block)
        if connection.wire.answered:
            return True
    return False


def _nobody_knows() -> OutcomeUnknown:
    return OutcomeUnknown("the connection failed before the server said whether it took the message")


_NO_ADDRESS: Final = SmtpReply(
    501, "5.1.3 not an address that this server can be given; nothing was sent to it"
)


def _unfit(envelope: Envelope, message: Outgoing, extensions: Mapping[str, str]) -> SmtpReply | None:
    """Why this server cannot be given this message at all, known before anything is asked."""
    if envelope.smtputf8 and "SMTPUTF8" not in extensions:
        return SmtpReply(
            553, "5.6.7 the mail server does not take addresses with characters beyond ASCII (SMTPUTF8)"
        )
    if envelope.sender and _path(envelope.sender, envelope.smtputf8) is None:
        return SmtpReply(501, "5.1.7 the sender's address cannot be given to a mail server")
    limit = extensions.get("SIZE", "")
    if limit.isdigit() and 0 < int(limit) < message.size:
        return SmtpReply(
            552, f"5.3.4 the message has {message.size} bytes, the mail server takes at most {limit}"
        )
    return None


def _rcpt(path: bytes) -> bytes:
    return b"RCPT TO:" + path


def _path(address: str, smtputf8: bool) -> bytes | None:
    """The address in angle brackets, or None when it cannot stand there (RFC 5321 section 4.1.2)."""
    quoted = _QUOTED_LOCAL_PART.match(address)
    rest = address[quoted.end() :] if quoted else address
    if not rest or _NOT_IN_A_PATH.search(rest):
        return None
    try:
        return b"<" + address.encode("utf-8" if smtputf8 else "ascii") + b">"
    except UnicodeEncodeError:
        return None
