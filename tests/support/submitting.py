"""A submission client under test, with what it reported on the way."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from postroom.adapters.hosts import PublicHosts
from postroom.adapters.smtp_connection import SmtpDeadlines
from postroom.adapters.smtp_kept import Keeping
from postroom.adapters.submission import SmtpSubmission
from postroom.core.model import Login, Server
from postroom.core.submission import Envelope, SmtpReply
from tests.support.scripted_smtp import ScriptedSmtp

SECRET = "corréct horse"
MAIL = b"From: a@example.test\r\nTo: b@example.test\r\nSubject: hello\r\n\r\nbody\r\n"
ONE = Envelope("agent@example.test", ("one@example.test",))
THREE = Envelope("agent@example.test", ("one@example.test", "two@example.test", "three@example.test"))

MakeServer = Callable[..., ScriptedSmtp]
"""Makes a server whose certificate the client trusts; takes the keywords of `ScriptedSmtp` but `tls`."""

SHORT = SmtpDeadlines(connect=2.0, command=0.5, reuse=0.5, block=1.0, reply=0.5, probe=2.0)
PATIENT = SmtpDeadlines(connect=10.0, command=10.0, reuse=10.0, block=10.0, reply=10.0, probe=10.0)


@dataclass
class Trail:
    """`core.ports.Steps` that remembers where it was."""

    steps: list[str] = field(default_factory=list)

    def reached(self, step: str) -> None:
        """Remember."""
        self.steps.append(step)


class Client:
    """`SmtpSubmission` towards servers on loopback. `transmitting` counts how often that was committed,
    `begun` is set the first time."""

    def __init__(
        self,
        context: ssl.SSLContext,
        deadlines: SmtpDeadlines = PATIENT,
        keeping: Keeping | None = None,
        hosts: PublicHosts | None = None,
    ) -> None:
        self.trail = Trail()
        self.transmitting = 0
        self.begun = asyncio.Event()
        self.submission = SmtpSubmission(
            hosts or PublicHosts(), context, self.trail, deadlines=deadlines, keeping=keeping
        )

    async def committed(self) -> None:
        """What the engine does before the first byte."""
        self.transmitting += 1
        self.begun.set()

    async def submit(
        self, login: Login, envelope: Envelope = ONE, raw: bytes = MAIL
    ) -> Mapping[str, SmtpReply]:
        """Hand a message over."""
        return await self.submission.submit(login, envelope, raw, self.committed)


def login_for(
    port: int,
    *,
    starttls: bool = False,
    host: str = "localhost",
    secret: str = SECRET,
    mechanism: str = "password",
    username: str = "agent@example.test",
) -> Login:
    """A login to a server on loopback that the operator named."""
    server = Server(host, port, "starttls" if starttls else "tls", trusted=True)
    return Login(server, username, secret, mechanism)
