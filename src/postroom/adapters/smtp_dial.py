"""How an SMTP connection comes about: TCP to a judged address, verified TLS, EHLO, AUTH; in this order."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from ipaddress import ip_address

from aiosmtplib import SMTPException, SMTPResponseException, SMTPTimeoutError

from postroom.adapters.smtp_connection import SmtpConnection, SmtpDeadlines
from postroom.adapters.smtp_replies import number, refused_login
from postroom.adapters.smtp_wire import SmtpWire
from postroom.adapters.tls import tls_fault
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Login, Server
from postroom.core.ports import Steps
from postroom.core.submission import SmtpReply

_TLS_GOODBYE_SECONDS = 2.0
_LONGEST_AUTH_LINE = 500
_GO_ON = 334


class SmtpDialler:
    """Opens connections that are ready for MAIL. `context` has to verify; one serves all. `steps` hears what
    `SmtpConnection` tells, of STARTTLS too."""

    def __init__(self, context: ssl.SSLContext, deadlines: SmtpDeadlines, steps: Steps) -> None:
        self._context = context
        self._deadlines = deadlines
        self._steps = steps

    async def open(self, login: Login, addresses: Sequence[str]) -> SmtpConnection:
        """Connect to the first address that answers, secure the connection, log in.

        Raises `MailServerError`; nothing stays open then, and nothing but EHLO and STARTTLS was sent before
        TLS stood.
        """
        door = await _open_socket(addresses, login.server.port, self._deadlines.connect)
        wire = SmtpWire(asyncio.get_running_loop())
        connection = SmtpConnection(wire, self._deadlines, self._steps)
        try:
            begin = self._begin_with_tls if login.server.security == "tls" else self._begin_with_starttls
            await begin(connection, door, _name(login.server))
            await log_in(connection, login)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _begin_with_tls(self, connection: SmtpConnection, door: socket.socket, name: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: connection.wire,
                sock=door,
                ssl=self._context,
                server_hostname=name,
                ssl_handshake_timeout=self._deadlines.connect,
                ssl_shutdown_timeout=_TLS_GOODBYE_SECONDS,
            )
        except (OSError, SMTPException) as exc:
            raise _no_tls(exc) from exc
        await connection.greeting()
        await connection.hello()

    async def _begin_with_starttls(self, connection: SmtpConnection, door: socket.socket, name: str) -> None:
        await asyncio.get_running_loop().create_connection(lambda: connection.wire, sock=door)
        await connection.greeting()
        await connection.hello()
        if "STARTTLS" not in connection.extensions:
            raise MailServerError(
                ServerCode.TLS_FAILED, "the server does not offer STARTTLS; nothing was sent"
            )
        await self._upgrade(connection, name)
        await connection.hello()

    async def _upgrade(self, connection: SmtpConnection, name: str) -> None:
        connection.wire.watch_plain_text()
        self._steps.reached("smtp:write:STARTTLS")
        try:
            await connection.wire.start_tls(self._context, name, self._deadlines.connect)
        except (OSError, SMTPException) as exc:
            raise _no_tls(exc) from exc
        self._steps.reached("smtp:read:STARTTLS")
        if not connection.wire.only_a_reply():
            # aiosmtplib drops such bytes, so they do no harm; but who sends them is no friend.
            raise MailServerError(
                ServerCode.TLS_FAILED, "there were bytes between STARTTLS and the TLS handshake"
            )
        connection.wire.spoke_unasked = False


async def log_in(connection: SmtpConnection, login: Login) -> None:
    """AUTH with a mechanism that both sides know (RFC 4954). Raises `MailServerError`."""
    if any(ch in login.username + login.secret for ch in "\0\r\n\x01"):
        raise MailServerError(ServerCode.AUTH_FAILED, "user name or password hold control characters")
    offered = connection.extensions.get("AUTH", "").split()
    ways = {
        "password": {"PLAIN": _plain, "LOGIN": _login},
        "oauth": {"XOAUTH2": _xoauth2, "OAUTHBEARER": _oauthbearer},
    }[login.mechanism]
    usable = [mechanism for mechanism in ways if mechanism in offered]
    if not usable:
        raise _no_common_mechanism(login, offered)
    for mechanism in usable:
        reply = await ways[mechanism](connection, login)
        if reply.accepted:
            return
        if reply.code != 504:
            break
    raise refused_login(reply, login)


async def _plain(connection: SmtpConnection, login: Login) -> SmtpReply:
    return await _respond(connection, "PLAIN", f"\0{login.username}\0{login.secret}")


async def _login(connection: SmtpConnection, login: Login) -> SmtpReply:
    reply = await connection.command(b"AUTH", b"LOGIN")
    for answer in (login.username, login.secret):
        if reply.code != _GO_ON:
            return reply
        reply = await connection.command(_base64(answer))
    return reply


async def _xoauth2(connection: SmtpConnection, login: Login) -> SmtpReply:
    response = f"user={login.username}\x01auth=Bearer {login.secret}\x01\x01"
    reply = await _respond(connection, "XOAUTH2", response)
    # A 334 carries the reason of a refusal; an empty line asks for the refusal itself.
    return await connection.command(b"") if reply.code == _GO_ON else reply


async def _oauthbearer(connection: SmtpConnection, login: Login) -> SmtpReply:
    user = login.username.replace("=", "=3D").replace(",", "=2C")
    response = f"n,a={user},\x01auth=Bearer {login.secret}\x01\x01"
    reply = await _respond(connection, "OAUTHBEARER", response)
    return await connection.command(_base64("\x01")) if reply.code == _GO_ON else reply


async def _respond(connection: SmtpConnection, mechanism: str, response: str) -> SmtpReply:
    """AUTH with its initial response, or after a 334 when the line would be too long (RFC 4954 section 4)."""
    name, encoded = mechanism.encode(), _base64(response)
    if len(encoded) <= _LONGEST_AUTH_LINE:
        return await connection.command(b"AUTH", name, encoded)
    reply = await connection.command(b"AUTH", name)
    return await connection.command(encoded) if reply.code == _GO_ON else reply


def _base64(text: str) -> bytes:
    return b64encode(text.encode())


def _no_common_mechanism(login: Login, offered: list[str]) -> MailServerError:
    if login.mechanism == "password" and {"XOAUTH2", "OAUTHBEARER"} & set(offered):
        return MailServerError(ServerCode.NEEDS_OAUTH, "the server takes no passwords, only OAuth2")
    return MailServerError(ServerCode.AUTH_FAILED, "the server offers no way to log in here")


def _name(server: Server) -> str:
    """The name that the certificate has to carry."""
    return server.host.strip().strip("[]").rstrip(".")


def _no_tls(exc: BaseException) -> MailServerError:
    if isinstance(exc, ssl.SSLError):
        return MailServerError(ServerCode.TLS_FAILED, tls_fault(exc))
    if isinstance(exc, SMTPResponseException) and exc.code < 200:
        return MailServerError(ServerCode.PROTOCOL_ERROR, "the server answered what is not SMTP")
    if isinstance(exc, SMTPResponseException):
        refusal = number(SmtpReply(exc.code, exc.message))
        return MailServerError(ServerCode.TLS_FAILED, f"the server refused STARTTLS ({refusal})")
    if isinstance(exc, SMTPTimeoutError | TimeoutError | ConnectionAbortedError):
        return MailServerError(ServerCode.TIMEOUT, "the TLS handshake did not end in time")
    return MailServerError(ServerCode.CONNECT_FAILED, "the server closed the connection before TLS stood")


async def _open_socket(addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    """A connection to the first address that takes one; all of them together have `seconds`."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    failure: BaseException | None = None
    for place, address in enumerate(addresses):
        share = (ends - loop.time()) / (len(addresses) - place)
        try:
            return await _connect(address, port, share)
        except OSError as exc:
            failure = exc
    if isinstance(failure, TimeoutError):
        raise MailServerError(ServerCode.TIMEOUT, "no connection came about in time") from failure
    raise MailServerError(ServerCode.CONNECT_FAILED, "no connection to the server") from failure


async def _connect(address: str, port: int, seconds: float) -> socket.socket:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        door.setblocking(False)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(door, (address, port))
    except BaseException:
        door.close()
        raise
    return door
