"""The sandbox as a whole: IMAP and submission on free loopback ports, and the authority that vouches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from postroom.sandbox.certificates import make_certificates
from postroom.sandbox.imap_server import ImapServer
from postroom.sandbox.mailboxes import MailWorld

LOOPBACK = "127.0.0.1"
SIZE_LIMIT = 40 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where the servers are. Any address is an account, with this password."""

    imap_port: int
    smtp_port: int
    ca_file: Path
    password: str
    host: str = "localhost"


@asynccontextmanager
async def sandbox(folder: Path, password: str = "sandbox") -> AsyncIterator[Sandbox]:  # noqa: S107
    """Run the servers for the time of the block; certificates are written into the folder."""
    ca_file, context = make_certificates(folder)
    world = MailWorld()
    imap = await asyncio.start_server(ImapServer(world, password).open, LOOPBACK, 0, ssl=context)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: SMTP(
            _Delivery(world),
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname="sandbox.postroom.test",
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=_Authenticator(password),
            loop=loop,
        ),
        LOOPBACK,
        0,
    )
    ports = [server.sockets[0].getsockname()[1] for server in (imap, smtp)]
    try:
        yield Sandbox(ports[0], ports[1], ca_file, password)
    finally:
        for server in (imap, smtp):
            server.close()


class _Delivery:
    """aiosmtpd's handler: what is accepted lies in the recipients' mailboxes."""

    def __init__(self, world: MailWorld) -> None:
        self._world = world

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Deliver before answering, as a real server files before it accepts."""
        del server, session
        content = envelope.content
        raw = content.encode() if isinstance(content, str) else content or b""
        await self._world.deliver(envelope.rcpt_tos, raw)
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
