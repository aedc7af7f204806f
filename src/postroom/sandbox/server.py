"""The sandbox as a whole: IMAP and submission on free loopback ports, and the authority that vouches."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from postroom.sandbox.certificates import make_certificates
from postroom.sandbox.imap_server import ImapServer
from postroom.sandbox.mailboxes import MailWorld

LOOPBACK = "127.0.0.1"
PASSWORD = "sandbox"  # noqa: S105 - everybody may know it
SIZE_LIMIT = 40 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where the servers are. Any address is an account, with this password. `world`: what lies in them."""

    imap_port: int
    smtp_port: int
    ca_file: Path
    password: str
    world: MailWorld
    host: str = "localhost"


@asynccontextmanager
async def sandbox(folder: Path) -> AsyncIterator[Sandbox]:
    """Run the servers for the time of the block; certificates are written into the folder."""
    # aiosmtpd warns of its own deprecations at every login.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    ca_file, context = make_certificates(folder)
    world = MailWorld()
    imap = ImapServer(world, PASSWORD)
    submission = _Submission(world, PASSWORD, context)
    reading = await asyncio.start_server(imap.open, LOOPBACK, 0, ssl=context)
    sending = await asyncio.get_running_loop().create_server(submission.open, LOOPBACK, 0)
    ports = [server.sockets[0].getsockname()[1] for server in (reading, sending)]
    try:
        yield Sandbox(ports[0], ports[1], ca_file, PASSWORD, world)
    finally:
        reading.close()
        sending.close()
        await imap.close()
        submission.close()


class _Submission:
    """The submission server: STARTTLS, then AUTH, then mail (RFC 6409)."""

    def __init__(self, world: MailWorld, password: str, context: ssl.SSLContext) -> None:
        self._delivery = _Delivery(world)
        self._authenticator = _Authenticator(password)
        self._context = context
        self._connections: list[SMTP] = []

    def open(self) -> SMTP:
        """The protocol of a new connection."""
        connection = SMTP(
            self._delivery,
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname="sandbox.postroom.test",
            tls_context=self._context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticator,
            loop=asyncio.get_running_loop(),
        )
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        """End every connection."""
        for connection in self._connections:
            if isinstance(connection.transport, asyncio.WriteTransport):
                connection.transport.abort()


class _Delivery:
    """aiosmtpd's handler: what is accepted lies in the recipients' mailboxes."""

    def __init__(self, world: MailWorld) -> None:
        self._world = world

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Deliver before answering, as a real server files before it accepts."""
        del server, session
        content = envelope.content
        raw = content.encode() if isinstance(content, str) else content or b""
        self._world.deliver(envelope.mail_from or "", envelope.rcpt_tos, raw)
        return "250 2.0.0 delivered"


class _Authenticator:
    """aiosmtpd's authenticator: any address with the one password."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()

    def __call__(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        """Whether the login is good."""
        del server, session, envelope, mechanism
        if not isinstance(data, LoginPassword) or data.password != self._password or b"@" not in data.login:
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=data.login)
