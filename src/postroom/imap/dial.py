"""How a connection comes about: TCP to an address already judged, then TLS, and nothing before it."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, IPPROTO_TCP, SO_KEEPALIVE, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, socket
from typing import TypeAlias

from postroom.imap.capabilities import ask_capabilities, code_capabilities
from postroom.imap.connection import Connection, Notice
from postroom.imap.errors import (
    ImapConnectError,
    ImapError,
    ImapInvalidArgument,
    ImapTimeout,
    ImapTlsError,
    TlsFault,
)
from postroom.imap.responses import Condition
from postroom.imap.wire import Limits

Address: TypeAlias = tuple[str, int]
"""An IP address, already resolved and judged, and a port."""


class Security(StrEnum):
    """TLS from the first byte (993), or by STARTTLS, required (143)."""

    TLS = "tls"
    STARTTLS = "starttls"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds after which a server that says nothing is given up.

    `connect` for TCP, and again for the TLS handshake; `greeting` for the first line; `command` for a
    command; `transfer` for each single message of a FETCH, and for an APPEND.
    """

    connect: float = 20.0
    greeting: float = 30.0
    command: float = 60.0
    transfer: float = 300.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect to, what its certificate has to name, and how TLS begins.

    One `context` should serve all connections (it holds the certificates of all authorities). Raises
    ImapInvalidArgument for one that does not verify, and for an address that is no IP address.
    """

    address: Address
    server_hostname: str
    security: Security
    context: ssl.SSLContext

    def __post_init__(self) -> None:
        try:
            ip_address(self.address[0])
        except ValueError as exc:
            raise ImapInvalidArgument("an address that is not resolved") from exc
        if self.context.verify_mode != ssl.CERT_REQUIRED or not self.context.check_hostname:
            raise ImapInvalidArgument("a TLS context that does not verify")


async def connect(
    endpoint: Endpoint, deadlines: Deadlines, limits: Limits | None = None, notice: Notice | None = None
) -> tuple[Connection, Condition | None]:
    """A connection over verified TLS, and the greeting if it came over TLS.

    Raises ImapConnectError, ImapTimeout, ImapTlsError, ImapProtocolError (no IMAP is spoken there),
    ImapClosed, and what a BYE in the greeting means (ImapBye, ImapThrottled). Nothing stays open then.
    """
    connection = Connection(asyncio.get_running_loop(), limits, notice)
    begin = _begin_with_tls if endpoint.security is Security.TLS else _begin_with_starttls
    try:
        with _translated():
            return connection, await begin(connection, endpoint, deadlines)
    except BaseException:
        await connection.close()
        raise


async def _begin_with_tls(
    connection: Connection, endpoint: Endpoint, deadlines: Deadlines
) -> Condition | None:
    secured = connection.link.secure(endpoint.context, endpoint.server_hostname)
    door = await _open_socket(endpoint.address, deadlines.connect)
    await asyncio.get_running_loop().create_connection(lambda: connection.link.pipe, sock=door)
    async with asyncio.timeout(deadlines.connect):
        await secured
    return await connection.greeting(deadlines.greeting)


async def _begin_with_starttls(connection: Connection, endpoint: Endpoint, deadlines: Deadlines) -> None:
    door = await _open_socket(endpoint.address, deadlines.connect)
    await asyncio.get_running_loop().create_connection(lambda: connection.link.pipe, sock=door)
    greeting = await connection.greeting(deadlines.greeting)
    if greeting.status == "PREAUTH":
        raise ImapTlsError(TlsFault.PREAUTH)
    offered = code_capabilities(greeting.code)
    if offered is None:
        offered = await ask_capabilities(connection, deadlines.command)
    if "STARTTLS" not in offered:
        raise ImapTlsError(TlsFault.STARTTLS_MISSING)
    await connection.start_tls(endpoint.context, endpoint.server_hostname, deadlines.connect)


async def _open_socket(address: Address, seconds: float) -> socket:
    host, port = address
    door = socket(AF_INET6 if ip_address(host).version == 6 else AF_INET, SOCK_STREAM)
    try:
        door.setblocking(False)
        door.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        door.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(door, (host, port))
    except BaseException:
        door.close()
        raise
    return door


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ImapError:
        raise
    except ssl.SSLCertVerificationError as exc:
        raise ImapTlsError(TlsFault.CERTIFICATE, exc.verify_message) from exc
    except ssl.SSLError as exc:
        raise ImapTlsError(TlsFault.HANDSHAKE, exc.reason or "") from exc
    except TimeoutError as exc:
        raise ImapTimeout from exc
    except OSError as exc:
        raise ImapConnectError from exc
    except ValueError as exc:
        raise ImapInvalidArgument("not a host name") from exc
