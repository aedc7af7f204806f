"""A site that only sends, to a scripted submission server, on the whole engine; the test moves the clock."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from postroom.adapters.hosts import AllowedHosts
from postroom.agents.python import PythonAgent
from postroom.config import Settings
from postroom.core.agent import Attachment
from postroom.core.submission import Submission, SubmissionStatus
from postroom.engine.compose import NewMail
from postroom.service import Service, opened
from tests.support.certificates import CertificateAuthority
from tests.support.clock import TestClock
from tests.support.office import say_hello
from tests.support.scripted_smtp import ScriptedSmtp

SITE = "outbound"
US = "outbound@postroom.test"
ONE = ("one@example.test",)
THREE = ("one@example.test", "two@example.test", "three@example.test")
LARGE = Attachment("film.bin", b"\x00\x01film" * 1_000_000)
"""More than sockets hold: a server that leaves in the middle is noticed before the last byte."""

PATIENCE = 20.0
WAIT = 1000.0
"""Seconds for which a call waits for its first attempt; longer than any deadline."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """The site, its server and its clock."""

    service: Service
    clock: TestClock
    sink: ScriptedSmtp

    async def send(self, *to: str, large: bool = False) -> Submission:
        """A call of the API; the submission as it stands after the first attempt."""
        site = await self.service.accounts.get(SITE)
        mail = NewMail(to or ONE, "An offer", "Ours", attachments=(LARGE,) if large else ())
        return await self.service.mailer.send(site, mail, wait=WAIT)

    async def stored(self, submission: Submission) -> Submission:
        """The submission as it stands now."""
        found = await self.service.store.things.submission(submission.id)
        assert found is not None
        return found

    async def again(self, submission: Submission) -> Submission:
        """Move on to its next attempt; the submission after that."""
        due = (await self.stored(submission)).due_at
        assert due is not None
        await self.pass_until(due)
        return await self.stored(submission)

    async def pass_until(self, moment: datetime) -> None:
        """Move on, waiting on the way for each attempt to end: a clock that leaps takes their leases away."""
        while self.clock.now() < moment:
            waiting = [s.due_at for s in await self._submissions() if s.due_at is not None]
            await self.clock.advance_to(min([moment, *waiting]))
            await until(self._at_rest)

    async def _at_rest(self) -> bool:
        submissions = await self._submissions()
        under_way = any(s.status is SubmissionStatus.TRANSMITTING for s in submissions)
        return not under_way and all(s.due_at is None or s.due_at > self.clock.now() for s in submissions)

    async def _submissions(self) -> tuple[Submission, ...]:
        return (await self.service.store.lists.submissions(SITE, {}, None, 200)).items

    async def to_the_end(self, submission: Submission) -> list[Submission]:
        """How it stood after each attempt, until it waits for no other."""
        stages = [submission]
        while stages[-1].status is SubmissionStatus.QUEUED:
            stages.append(await self.again(stages[-1]))
        return stages

    async def days_later(self, days: int = 3) -> None:
        """Time passes, with a sweep every hour, and whatever is due is done."""
        for _ in range(days * 24):
            await self.pass_until(self.clock.now() + timedelta(hours=1))
            await self.clock.until_asleep(2)

    async def password(self, value: str) -> None:
        """Store the site's password (again)."""
        await self.service.accounts.seal(SITE, "email", US, value, store=True, may_create=True)

    @property
    def accepted(self) -> Counter[tuple[str, str]]:
        """How often the server took which message for whom, by Message-ID."""
        return Counter((_message_id(m.data), to) for m in self.sink.messages for to in m.recipients)

    async def has_accepted(self) -> bool:
        """Whether the server has taken a message; it may know so a little later than we."""
        return bool(self.accepted)

    async def notices(self) -> list[str]:
        """The codes of what the owner was told."""
        page = await self.service.store.lists.events(SITE, {"type": "owner.notice"}, None, 200)
        return [event.data["code"] for event in reversed(page.items)]

    def waits(self, stages: list[Submission]) -> list[timedelta]:
        """The spans between the attempts."""
        times = [stage.due_at for stage in stages if stage.due_at is not None]
        first = stages[0].first_try_at
        assert first is not None
        return [later - earlier for earlier, later in zip([first, *times], times, strict=False)]


def _message_id(raw: bytes) -> str:
    line = next(line for line in raw.split(b"\r\n") if line.lower().startswith(b"message-id:"))
    return line.partition(b":")[2].strip().decode()


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """The first true value; fails when it does not come in time."""
    async with asyncio.timeout(PATIENCE):
        while True:
            value = await condition()
            if value:
                return value
            await asyncio.sleep(0.01)  # the pause between two looks at tasks that share the loop


@asynccontextmanager
async def open_outbound(
    folder: Path, authority: CertificateAuthority, on: dict[str, Any], *, starttls: bool = False
) -> AsyncIterator[Outbound]:
    """The engine works for the time of the block; `on`: how the server reacts (`scripted_smtp`)."""
    settings = Settings(
        data_dir=folder / "data",
        allow_hosts=AllowedHosts.parse(["127.0.0.0/8"]),
        tls_ca_file=authority.ca_file,
    )
    clock = TestClock()
    sink = ScriptedSmtp(tls=authority.localhost().context(), starttls=starttls, on=on)
    async with sink, opened(settings, PythonAgent(say_hello), clock=clock) as service:
        outbound = Outbound(service, clock, sink)
        account = {
            "email": US,
            "outgoingServer": "localhost",
            "outgoingPort": sink.port,
            "outgoingSecurity": "starttls" if starttls else "tls",
        }
        await service.accounts.patch(SITE, {"channels": {"email": account}}, may_create=True)
        await outbound.password("a password")
        working = asyncio.create_task(service.worker.run())
        try:
            yield outbound
        finally:
            await service.bells.close()
            await working
            await service.mailer.close()
