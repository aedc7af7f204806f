"""One account of the soak: its mailbox server, the network before it, and what was delivered there."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP

from postroom.imap.wire import ClientCommand
from postroom.sandbox.mailboxes import StoredMail
from tests.scenario.watch.postbox import Postbox, Session
from tests.support.fault_proxy import FaultProxy


@dataclass
class SoakAccount:
    """A mailbox and its mails. `disturbed`: until when (monotonic) a fault may delay its answers."""

    site: str
    box: Postbox
    proxy: FaultProxy
    delivered: dict[str, float] = field(default_factory=dict)
    undisturbed: set[str] = field(default_factory=set)
    ghosts: set[str] = field(default_factory=set)
    disturbed_until: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def address(self) -> str:
        """Its mail address."""
        return f"{self.site}@soak.test"

    def deliver(self, number: int, *, read: bool) -> StoredMail:
        """A mail from somebody new; a person's phone may have read it first."""
        name = f"{self.site}-{number}@soak.example"
        self.delivered[name] = now = time.monotonic()
        if now > self.disturbed_until:
            self.undisturbed.add(name)
        return self.box.deliver(self._letter(name, number), *(("\\Seen",) if read else ()))

    def haunt(self, number: int) -> None:
        """A mail that is expunged as soon as it lies there: answered once at most."""
        name = f"{self.site}-ghost-{number}@soak.example"
        self.ghosts.add(name)
        mail = self.box.deliver(self._letter(name, number))
        self.box.inbox.expunge([mail])

    def disturb(self, kind: str, seconds: float) -> None:
        """Note a fault, and how long it may be felt."""
        self.faults[kind] += 1
        self.disturbed_until = max(self.disturbed_until, time.monotonic() + seconds)
        self.undisturbed -= {name for name in self.undisturbed if time.monotonic() - self.delivered[name] < 5}

    def _letter(self, name: str, number: int) -> bytes:
        made = EmailMessage(policy=SMTP)
        made["From"] = f"somebody-{number}@{self.site}.example"
        made["To"] = self.address
        made["Subject"] = f"Question {number}"
        made["Message-ID"] = f"<{name}>"
        made.set_content(f"How about number {number}?")
        return made.as_bytes()


@asynccontextmanager
async def soak_account(site: str, tls: ssl.SSLContext) -> AsyncIterator[SoakAccount]:
    """The account's servers, for the time of the block."""
    async with Postbox(tls) as box, FaultProxy(box.address) as proxy:
        yield SoakAccount(site, box, proxy)


async def throttle(account: SoakAccount, seconds: float) -> None:
    """For so long every login is told to wait."""

    async def told(session: Session, command: ClientCommand) -> bool:
        milliseconds = int(seconds * 1000)
        words = f"Request is throttled. Suggested Backoff Time: {milliseconds} milliseconds"
        await session.end(command, f"NO [THROTTLED] {words}")
        return True

    account.box.on["AUTHENTICATE"] = told
    await account.box.farewell("* BYE Request is throttled")
    await asyncio.sleep(seconds)  # the fault's own length
    account.box.on.pop("AUTHENTICATE", None)
