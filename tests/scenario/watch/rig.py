"""The engine with real sockets on both sides, its deadlines short, its clock in the test's hand if wanted.

The sites' mailboxes are `Postbox`es (or whatever listens), their submission server is `rig.sink`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from itertools import count
from pathlib import Path
from typing import Any

from postroom.adapters.hosts import AllowedHosts, PublicHosts
from postroom.adapters.mailbox import ImapAccess
from postroom.adapters.mailbox.patience import Patience
from postroom.agents.python import PythonAgent
from postroom.config import Settings
from postroom.core.agent import Answer, Turn
from postroom.core.clock import SystemClock
from postroom.core.model import AccountStatus, Message
from postroom.core.ports import Clock, NoSteps
from postroom.core.shares import Holding, NoFence
from postroom.engine.accounts import Logins
from postroom.engine.mailcare import Mailcare
from postroom.engine.notify import Notifier
from postroom.engine.shares import AllAccounts
from postroom.engine.sync import Sync
from postroom.engine.watch import Watchers, WatchParts
from postroom.engine.worker import Worker
from postroom.imap.dial import Deadlines
from postroom.service import Service, opened
from tests.support.certificates import CertificateAuthority
from tests.support.clock import TestClock
from tests.support.scripted_smtp import ScriptedSmtp

PATIENCE = 20.0
POLL = 0.1
"""Seconds between two safety polls."""

HASTY = Patience(liveness=2.0, compare=300.0, probe=2.0, goodbye=0.2)
DEADLINES = Deadlines(connect=5.0, greeting=5.0, command=5.0, transfer=5.0)
_numbers = count(1)


class SwiftClock:
    """`core.ports.Clock` that runs so many times faster: minutes of back-off pass in moments."""

    def __init__(self, speed: float = 100.0) -> None:
        self._speed = speed
        self._start = datetime.now(UTC)
        self._began = time.monotonic()

    def now(self) -> datetime:
        """As much later as this clock is faster."""
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self._speed)

    async def sleep(self, seconds: float) -> None:
        """Return when so much of this clock's time has passed."""
        await asyncio.sleep(max(seconds, 0) / self._speed)


async def say_ok(turn: Turn) -> Answer:
    """The agent unless a test brings its own."""
    return Answer("ok")


@dataclass
class Rig:
    """The running engine."""

    service: Service
    watchers: Watchers
    clock: Clock
    sink: ScriptedSmtp
    _task: asyncio.Task[None]
    _sites: Any = field(default_factory=lambda: count(1))

    @property
    def time(self) -> TestClock:
        """The clock, where it is the test's to move."""
        assert isinstance(self.clock, TestClock)
        return self.clock

    async def connect(self, port: int, site: str = "", *, password: str = "secret", **settings: Any) -> str:
        """A site whose mailbox listens on this port of loopback; gives its id."""
        site = site or f"site-{next(self._sites)}"
        account = {
            "email": address_of(site),
            "incomingServer": "localhost",
            "incomingPort": port,
            "incomingSecurity": "tls",
            "outgoingServer": "localhost",
            "outgoingPort": self.sink.port,
            "outgoingSecurity": "tls",
        }
        # The password first: a watcher that sees the one and not yet the other would connect twice.
        await self.password(site, password)
        channels = {"channels": {"email": account}}
        await self.service.accounts.patch(site, channels | settings, may_create=True)
        return site

    async def password(self, site: str, value: str) -> None:
        """Store the password (again)."""
        await self.service.accounts.seal(site, "email", address_of(site), value, store=True, may_create=True)

    def status(self, site: str) -> AccountStatus:
        """How the account stands."""
        found = self.watchers.status(site)
        assert found is not None
        return found

    async def messages(self, site: str, **filters: Any) -> list[Message]:
        """All messages of the site, oldest first."""
        found: list[Message] = []
        cursor: str | None = None
        while True:
            page = await self.service.store.lists.messages(site, filters, cursor, 200)
            found += page.items
            if (cursor := page.next) is None:
                return found[::-1]

    async def states(self, site: str) -> Counter[str]:
        """How many messages of the site ended how: `state` or `state:reason`."""
        return Counter(f"{m.state.value}:{m.reason}".rstrip(":") for m in await self.messages(site))

    async def arrived(self, site: str, number: int, **filters: Any) -> list[Message]:
        """The site's messages once there are so many."""
        found: list[Message] = await until(lambda: self._if(site, number, filters))
        return found

    async def _if(self, site: str, number: int, filters: dict[str, Any]) -> list[Message]:
        found = await self.messages(site, **filters)
        return found if len(found) >= number else []

    async def sent(self, number: int) -> None:
        """Wait until exactly so many mails went out."""
        await until(lambda: len(self.sink.messages) >= number)
        assert len(self.sink.messages) == number

    async def in_state(self, site: str, *states: str) -> AccountStatus:
        """The account's status once it is in one of the states."""
        await until(lambda: self.watchers.status(site) and self.status(site).state.value in states)
        return self.status(site)

    async def looked(self, site: str, times: int = 1) -> None:
        """Wait until everything was looked at (again) so often."""
        for _ in range(times):
            await until(self._report_after(site, self.status(site)))

    def _report_after(self, site: str, before: AccountStatus) -> Callable[[], bool]:
        """Whether there is a newer report; one comes with each look, also when the clock stands still."""
        self.watchers.refresh(site)
        return lambda: self.status(site) is not before

    async def notices(self, site: str) -> list[str]:
        """The codes of what the owner was told."""
        page = await self.service.store.lists.events(site, {"type": "owner.notice"}, None, 200)
        return [event.data["code"] for event in reversed(page.items)]

    async def rest(self) -> None:
        """Watch and work no more; what is stored can still be asked for."""
        await self.service.bells.close()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def pass_time(self, span: timedelta) -> None:
        """Move the clock on; what wakes up on the way comes to rest again before it goes on. For a rig
        without a worker and with a single account that is not connected."""
        end = self.time.now() + span
        while self.time.now() < end:
            await self.time.until_asleep()
            assert self.time.next_wake is not None
            await self.time.advance_to(min(self.time.next_wake, end))

    async def watch(self, port: int, **settings: Any) -> str:
        """A site that is connected, its mailbox looked at once."""
        site = await self.connect(port, **settings)
        await self.in_state(site, "watching", "polling")
        return site


def address_of(site: str) -> str:
    """The mailbox of a site."""
    return f"{site}@postroom.test"


def letter(site: str, text: str = "Hello?", *, sender: str = "", **headers: str) -> bytes:
    """A mail to the site from somebody who never wrote before; names of headers take _ for -."""
    number = next(_numbers)
    made = EmailMessage(policy=SMTP)
    fields = {
        "From": sender or f"ann-{number}@example.org",
        "To": address_of(site),
        "Subject": f"Question {number}",
        "Message-ID": f"<{number}@example.org>",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    for name, value in fields.items():
        if value:
            made[name] = value
    made.set_content(text)
    return made.as_bytes()


async def until(condition: Callable[[], Any]) -> Any:
    """The first true value that the condition gives or awaits; fails when it does not come in time."""
    async with asyncio.timeout(PATIENCE):
        while True:
            value = condition()
            if isinstance(value, Awaitable):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.01)  # the pause between two looks at tasks that share the loop


@asynccontextmanager
async def open_rig(
    folder: Path,
    authority: CertificateAuthority,
    *,
    clock: Clock | None = None,
    agent: Callable[[Turn], Awaitable[Answer | str]] = say_ok,
    poll: float = POLL,
    patience: Patience = HASTY,
    working: bool = True,
    also_trusted: Path | None = None,
) -> AsyncIterator[Rig]:
    """The engine works for the time of the block; without `working` it watches and answers nothing.

    `also_trusted`: the authority of mailbox servers that are not the test's own.
    """
    clock = clock or SystemClock()
    loopback = AllowedHosts.parse(["127.0.0.0/8"])
    settings = Settings(
        data_dir=folder / "data", allow_hosts=loopback, tls_ca_file=authority.ca_file, poll_seconds=poll
    )
    sink = ScriptedSmtp(tls=authority.localhost().context())
    context = authority.client_context()
    if also_trusted is not None:
        context.load_verify_locations(also_trusted)
    access = ImapAccess(PublicHosts(loopback), context, NoSteps(), deadlines=DEADLINES, patience=patience)
    async with sink, opened(settings, PythonAgent(agent), clock=clock) as service:
        parts = _watch_parts(service, access, poll)
        watchers = Watchers(lambda holding: _same(holding, parts), AllAccounts(service.store.sites, clock))
        worker = _worker(service, watchers) if working else _watching(service, watchers)
        rig = Rig(service, watchers, clock, sink, asyncio.create_task(worker))
        try:
            yield rig
        finally:
            await rig.rest()
            await service.mailer.close()


def _same(holding: Holding, parts: WatchParts) -> WatchParts:
    del holding
    return parts


def _watch_parts(service: Service, access: ImapAccess, poll: float) -> WatchParts:
    store, clock = service.store, service.clock
    return WatchParts(
        sites=store.sites,
        accounts=store.accounts,
        logins=Logins(service.credentials),
        access=access,
        sync=Sync(store.intake, service.ingest, store.desk, clock, NoSteps()),
        care=Mailcare(store.aftercare, store.intake, NoFence(), service.blobs, clock, NoSteps()),
        notifier=Notifier(store.desk, service.composer, service.bells, clock),
        clock=clock,
        poll_seconds=poll,
    )


async def _worker(service: Service, watchers: Watchers) -> None:
    await Worker(
        service.store.answering,
        service.store.outbox,
        service.answerer,
        service.mailer._submitter,
        watchers,
        service.bells,
        service.clock,
        service.retention,
    ).run()


async def _watching(service: Service, watchers: Watchers) -> None:
    """Only what concerns the watchers is heard."""
    async with asyncio.TaskGroup() as group:
        group.create_task(watchers.run())
        async for bell in service.bells.heard():
            if bell.kind.value == "site":
                watchers.changed(bell.id)
