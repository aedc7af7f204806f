"""A mailbox reader under test, and the usual lines of a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.adapters.hosts import PublicHosts
from postroom.adapters.mailbox import ImapAccess
from postroom.adapters.mailbox.patience import Patience
from postroom.adapters.mailbox.session import ImapSession
from postroom.core.model import Login, Server
from postroom.core.ports import FetchedMessage, MailSession
from postroom.imap.dial import Deadlines
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_imap import Peer, Script, ScriptedImap
from tests.support.submitting import Trail

SECRET = "corréct horse"
USER = "agent@example.test"
CAP = 1000
BRISK = Deadlines(connect=5.0, greeting=5.0, command=5.0, transfer=5.0)
SHORT = Patience(liveness=0.5, probe=2.0, goodbye=0.5)


class Reader:
    """`ImapAccess` towards servers on loopback."""

    def __init__(
        self,
        authority: CertificateAuthority,
        patience: Patience = SHORT,
        deadlines: Deadlines = BRISK,
    ) -> None:
        self._authority = authority
        self.trail = Trail()
        self.access = ImapAccess(
            PublicHosts(), authority.client_context(), self.trail, deadlines=deadlines, patience=patience
        )

    @asynccontextmanager
    async def session(self, script: Script, host: str = "localhost") -> AsyncIterator[ImapSession]:
        """A session with a server that follows this script."""
        async with self.served(script) as server, self.access.open(login_for(server, host)) as session:
            yield session

    def served(self, script: Script) -> ScriptedImap:
        """A server with TLS that follows this script."""
        return ScriptedImap(script, tls=self._authority.localhost().context())


def login_for(server: ScriptedImap, host: str = "localhost", *, secret: str = SECRET) -> Login:
    """A login to this server, which the operator named."""
    return Login(Server(host, server.address[1], "tls", trusted=True), USER, secret)


async def fetched(session: MailSession, *ranges: range, cap: int = CAP) -> list[FetchedMessage]:
    """What the INBOX gives of these UIDs."""
    return [message async for message in session.fetch("INBOX", ranges, cap)]


async def select(peer: Peer, *, exists: int, uidnext: int, uidvalidity: int = 7) -> None:
    """Answer the SELECT that comes."""
    await peer.answer(
        "SELECT",
        f"* {exists} EXISTS",
        f"* OK [UIDVALIDITY {uidvalidity}] lasting",
        f"* OK [UIDNEXT {uidnext}] next",
        status="OK [READ-WRITE] opened",
    )


async def noop(peer: Peer, *untagged: str) -> None:
    """Answer the NOOP that comes."""
    await peer.answer("NOOP", *untagged)


def fact(uid: int, size: int, flags: str = "", sequence: int = 0) -> str:
    """One line of an answer to a question for flags, date and size."""
    date = "02-Mar-2026 09:00:00 +0000"
    return f'* {sequence or uid} FETCH (UID {uid} FLAGS ({flags}) INTERNALDATE "{date}" RFC822.SIZE {size})'


def body(uid: int, data: bytes, item: str = "BODY[]", sequence: int = 0) -> bytes:
    """One answer to a question for a body."""
    head = f"* {sequence or uid} FETCH (UID {uid} RFC822.SIZE {len(data)} {item} {{{len(data)}}}\r\n"
    return head.encode() + data + b")"


async def farewell(peer: Peer) -> None:
    """Answer the LOGOUT that comes."""
    await peer.answer("LOGOUT", "* BYE see you")
