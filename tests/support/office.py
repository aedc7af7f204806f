"""One site on the built service, without any mail server: mail goes in as bytes, rows come out.

Everything is the real thing (SQLite, blobs, engine) except that nothing is connected to: the site's servers
do not exist, so submissions stay queued and can be read there.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

from postroom.agents.python import PythonAgent
from postroom.config import Settings
from postroom.core.agent import Answer, Turn
from postroom.core.model import Message, Place, Role, Site, Source
from postroom.engine.ingest import Taken
from postroom.engine.read import Arrived
from postroom.service import Service, opened
from tests.support.clock import TestClock

SITE = "office"
US = "office@postroom.test"
ALIAS = "sales@postroom.test"

AgentFunction = Callable[[Turn], Awaitable[Answer | str]]


async def say_hello(turn: Turn) -> Answer:
    """The agent unless a test brings its own."""
    return Answer(f"Hello, {len(turn.history)} before.")


@dataclass
class Office:
    """The site and the ways in and out."""

    service: Service
    clock: TestClock
    uids: Any = field(default_factory=lambda: count(1))

    async def site(self) -> Site:
        """The site as it stands."""
        return await self.service.accounts.get(SITE)

    async def set(self, **patch: Any) -> None:
        """Change settings."""
        await self.service.accounts.patch(SITE, patch, may_create=True)

    async def arrive(self, raw: bytes | EmailMessage, **facts: Any) -> Taken:
        """A mail lies in the inbox and is taken, a second after the last one."""
        await self.clock.advance(1)
        data = raw if isinstance(raw, bytes) else raw.as_bytes(policy=policy.SMTP)
        arrived = Arrived(
            **{
                "source": Source.MAILBOX,
                "raw": data,
                "received_at": self.clock.now(),
                "size": len(data),
                "place": Place("INBOX", 1, next(self.uids)),
                "role": Role.INBOX,
                **facts,
            }
        )
        return (await self.service.ingest.take(await self.site(), [arrived]))[0]

    async def work(self, taken: Taken) -> Message:
        """Answer what is due in the message's thread; gives the message as it is then."""
        await self.service.answerer.look(taken.message.thread_id)
        return await self.message(taken.message.id)

    async def message(self, message_id: str) -> Message:
        """A message by its id."""
        found = await self.service.store.things.message(message_id)
        assert found is not None
        return found

    async def answers(self) -> list[EmailMessage]:
        """Every answer that was written, oldest first."""
        page = await self.service.store.lists.submissions(SITE, {"kind": "answer"}, None, 200)
        raws = [await self.service.blobs.get(item.raw) for item in reversed(page.items)]
        return [parsed(raw) for raw in raws]

    async def notices(self) -> list[str]:
        """The codes of what the owner was told."""
        page = await self.service.store.lists.events(SITE, {"type": "owner.notice"}, None, 200)
        return [event.data["code"] for event in reversed(page.items)]


def parsed(raw: bytes) -> EmailMessage:
    """A message as the standard library reads it."""
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


_ids = count(1)


def mail(
    sender: str = "ada@example.test",
    text: str = "Hello",
    *,
    to: str = US,
    subject: str = "Question",
    message_id: str | None = "",
    **headers: str,
) -> EmailMessage:
    """A mail to us; `message_id` None leaves the field out. Names of headers take _ for -."""
    made = EmailMessage(policy=policy.SMTP)
    made["From"] = sender
    made["To"] = to
    made["Subject"] = subject
    if message_id is not None:
        made["Message-ID"] = message_id or f"<{next(_ids)}@example.test>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


@asynccontextmanager
async def open_office(
    folder: Path, agent: AgentFunction = say_hello, start: datetime | None = None, **settings: Any
) -> AsyncIterator[Office]:
    """The site, its account configured a minute ago by the test's clock."""
    clock = TestClock() if start is None else TestClock(start)
    async with opened(Settings(data_dir=folder / "data"), PythonAgent(agent), clock=clock) as service:
        office = Office(service, clock)
        channel = {
            "email": US,
            "aliases": [ALIAS],
            "displayName": "The office",
            "incomingServer": "imap.invalid",
            "outgoingServer": "smtp.invalid",
            "authservId": "mx.postroom.test",
        }
        await office.set(channels={"email": channel}, **settings)
        await clock.advance(timedelta(minutes=1).total_seconds())
        yield office
