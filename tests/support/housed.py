"""A site on the built service with real mailboxes in the sandbox, all in the test's own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from postroom.adapters.hosts import AllowedHosts
from postroom.agents.python import PythonAgent
from postroom.config import Settings
from postroom.core.agent import Answer, Turn
from postroom.core.model import Message
from postroom.core.submission import Submission
from postroom.engine.restored import settle_if_restored
from postroom.sandbox.mailboxes import MailFolder, StoredMail
from postroom.sandbox.server import Sandbox
from postroom.service import Service, opened
from tests.support.office import AgentFunction

SITE = "house"
US = "house@postroom.test"
PATIENCE = 40.0


async def say_ok(turn: Turn) -> Answer:
    """The agent unless a test brings its own."""
    return Answer("ok")


@dataclass(frozen=True, slots=True)
class House:
    """The running service and its mailboxes."""

    service: Service
    servers: Sandbox
    _working: asyncio.Task[None]

    def folder(self, name: str, address: str = US) -> MailFolder:
        """A mailbox as it lies on the server."""
        return self.servers.world.account(address)[name]

    def deliver(self, mail: EmailMessage, *, days_ago: float = 0, flags: tuple[str, ...] = ()) -> StoredMail:
        """A mail lies in the inbox; the server says that it came so many days ago."""
        # Servers tell whole seconds; rounded down, it might have come before the account was configured.
        received = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1) - timedelta(days=days_ago)
        return self.folder("INBOX").add(mail.as_bytes(policy=SMTP), flags, received)

    async def set(self, **patch: Any) -> None:
        """Change settings; the watcher takes them up."""
        await self.service.accounts.patch(SITE, patch, may_create=True)

    async def messages(self, **filters: Any) -> tuple[Message, ...]:
        """The site's messages, newest first."""
        return (await self.service.store.lists.messages(SITE, filters, None, 200)).items

    async def submissions(self, **filters: Any) -> tuple[Submission, ...]:
        """The site's submissions, newest first."""
        return (await self.service.store.lists.submissions(SITE, filters, None, 200)).items

    async def rest(self) -> None:
        """Watch and work no more; what is queued stays so."""
        await self.service.bells.close()
        with suppress(asyncio.CancelledError):
            await self._working

    async def looked(self) -> None:
        """Wait until everything that lies in the mailboxes now was looked at, twice over."""
        for _ in range(2):
            before = datetime.now(UTC)
            await until(lambda before=before: self._synced_since(before))

    def answers_at(self, address: str) -> int:
        """How many mails a correspondent has."""
        return len(self.folder("INBOX", address).mails)

    async def _synced_since(self, moment: datetime) -> bool:
        self.service.watchers.refresh(SITE)
        status = self.service.watchers.status(SITE)
        return bool(status and status.last_sync_at and status.last_sync_at > moment)


async def until(condition: Any) -> Any:
    """The first true value that the condition gives or awaits; fails when it does not come in time."""
    async with asyncio.timeout(PATIENCE):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.02)  # the pause between two looks at tasks that share the loop


@asynccontextmanager
async def open_house(
    folder: Path, servers: Sandbox, agent: AgentFunction = say_ok, *, url: str | None = None, **settings: Any
) -> AsyncIterator[House]:
    """The site's service works for the time of the block; its data lies in `folder/data`."""
    config = Settings(
        data_dir=folder / "data",
        database_url=url,
        key_ring=None if url is None else a_key_ring(),
        allow_hosts=AllowedHosts.parse(["127.0.0.0/8"]),
        tls_ca_file=servers.ca_file,
        poll_seconds=0.3,
    )
    async with opened(config, PythonAgent(agent)) as service:
        await settle_if_restored(service.store.restoring, service.clock)
        channel = {
            "email": US,
            "incomingServer": servers.host,
            "incomingPort": servers.imap_port,
            "incomingSecurity": "tls",
            "outgoingServer": servers.host,
            "outgoingPort": servers.smtp_port,
            "outgoingSecurity": "starttls",
        }
        if await service.store.sites.get(SITE) is None:
            await service.accounts.patch(SITE, {"channels": {"email": channel}, **settings}, may_create=True)
            await service.accounts.seal(SITE, "email", US, servers.password, store=True, may_create=True)
        house = House(service, servers, asyncio.create_task(service.worker.run()))
        try:
            yield house
        finally:
            await house.rest()
            await service.mailer.close()


def a_key_ring() -> Any:
    """The same key at every start."""
    from postroom.adapters.vault import KeyRing

    return KeyRing.parse("A" * 43 + "=")
