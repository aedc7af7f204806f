"""Bells may be lost, doubled and late, and their engine may fail: each mail gets its one answer."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.core.model import Bell
from postroom.core.ports import Bells, Clock
from postroom.engine.worker import SWEEP_SECONDS, Worker
from tests.support.office import Office, mail

MAILS = 8
DEADLINE = 30.0

Hears = Callable[[Bell], Iterable[Bell]]


class Misbehaving:
    """`core.ports.Bells` that pass on whatever `hears` makes of each bell; what it puts off is rung again."""

    def __init__(self, bells: Bells, clock: Clock, hears: Hears) -> None:
        self._bells = bells
        self._clock = clock
        self._hears = hears

    async def ring(self, bell: Bell) -> None:
        await self._bells.ring(bell)

    async def heard(self) -> AsyncIterator[Bell]:
        async for bell in self._bells.heard():
            for heard in self._hears(bell):
                if heard.at is not None and heard.at > self._clock.now():
                    await self._bells.ring(heard)
                else:
                    yield heard

    async def close(self) -> None:
        await self._bells.close()


def lost(office: Office, chance: random.Random) -> Hears:
    return lambda bell: () if chance.random() < 0.6 else (bell,)


def doubled(office: Office, chance: random.Random) -> Hears:
    return lambda bell: (bell,) * 3


def late(office: Office, chance: random.Random) -> Hears:
    put_off: set[str] = set()

    def held_back(bell: Bell) -> Iterable[Bell]:
        if bell.id in put_off:
            put_off.discard(bell.id)
            return (bell,)
        put_off.add(bell.id)
        return (replace(bell, at=office.clock.now() + timedelta(seconds=chance.uniform(1, 60))),)

    return held_back


def failing(office: Office, chance: random.Random) -> Hears:
    def fails(bell: Bell) -> Iterable[Bell]:
        if chance.random() < 0.5:
            raise RuntimeError("canary")
        return (bell,)

    return fails


@asynccontextmanager
async def working(office: Office, hears: Hears) -> AsyncIterator["asyncio.Task[None]"]:
    service = office.service
    worker = Worker(
        service.store.answering,
        service.store.outbox,
        service.answerer,
        service.mailer._submitter,
        service.watchers,
        Misbehaving(service.bells, office.clock, hears),
        office.clock,
        service.retention,
    )
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        await service.bells.close()
        async with asyncio.timeout(DEADLINE):
            while not task.done():
                await office.clock.advance(4)


@pytest.mark.parametrize("misbehave", [lost, doubled, late, failing])
async def test_b7_each_mail_is_answered_once_whatever_the_bells_do(
    office: Office, misbehave: Callable[[Office, random.Random], Hears]
) -> None:
    async with working(office, misbehave(office, random.Random(5))) as task:
        taken = [await office.arrive(mail(f"c{n % 4}@example.test")) for n in range(MAILS)]
        async with asyncio.timeout(DEADLINE):
            while len(await office.answers()) < MAILS:
                await office.clock.advance(4)
        await office.clock.advance(4 * SWEEP_SECONDS)
        answered = [answer["In-Reply-To"] for answer in await office.answers()]
        assert sorted(answered) == sorted(f"<{one.message.message_id}>" for one in taken)
        assert not task.done()
