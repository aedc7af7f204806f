"""Backfill on request: history stored and threaded, waking nobody, each body fetched once, whatever happens."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from postroom.adapters.hosts import AllowedHosts, PublicHosts
from postroom.adapters.mailbox import ImapAccess
from postroom.core.agent import Answer, Turn
from postroom.core.errors import Conflict, MailServerError, NotFound
from postroom.core.model import MessageState
from postroom.core.ports import NoSteps, Steps
from postroom.core.providers import Provider
from postroom.engine import backfillplan
from postroom.engine.backfill import Backfill, BackfillProgress
from postroom.imap.wire import ClientCommand
from postroom.sandbox.mailboxes import MailFolder
from tests.scenario.watch.postbox import Postbox, Session
from tests.scenario.watch.rig import DEADLINES, HASTY, Rig, SwiftClock, address_of, letter, open_rig, until
from tests.support.certificates import CertificateAuthority

SITE = "site-1"
ANN = "ann@example.org"


class Ends(Exception):
    """The process ends here."""


class EndsAt:
    """`core.ports.Steps` that ends the run at the n-th reaching of a step."""

    def __init__(self, step: str, times: int) -> None:
        self._step = step
        self._left = times

    def reached(self, step: str) -> None:
        """End there."""
        self._left -= step == self._step
        if step == self._step and not self._left:
            raise Ends


def backfill_of(rig: Rig, authority: CertificateAuthority, steps: Steps | None = None) -> Backfill:
    """As another process would run it, with its own connection."""
    access = ImapAccess(
        PublicHosts(AllowedHosts.parse(["127.0.0.0/8"])),
        authority.client_context(),
        NoSteps(),
        deadlines=DEADLINES,
        patience=HASTY,
    )
    parts = replace(rig.service.backfill, access=access, steps=steps or NoSteps())
    return replace(parts, owner=f"process {id(parts)}")


def add(folder: MailFolder, raw: bytes, rig: Rig, days_ago: float) -> None:
    """It lies there, received so many days ago."""
    folder.add(raw, (), (rig.clock.now() - timedelta(days=days_ago)).replace(microsecond=0))


def history(rig: Rig, box: Postbox, letters: int, *, first_days_ago: float = 80) -> None:
    """Letters in the inbox, from different people, a tenth of a day apart."""
    for number in range(letters):
        add(box.inbox, letter(SITE), rig, first_days_ago - number / 10)


def bodies(box: Postbox) -> set[int]:
    """How often bodies were fetched that were fetched at all."""
    return set(box.counts.bodies.values())


@pytest.fixture
def asked() -> list[str]:
    """The subjects for which the agent was asked."""
    return []


@pytest.fixture
async def house(tmp_path: Path, authority: CertificateAuthority, asked: list[str]):  # type: ignore[no-untyped-def] # noqa: ANN201 - an async generator
    async def agent(turn: Turn) -> Answer:
        asked.append(turn.message.subject)
        return Answer("ok")

    async with open_rig(tmp_path, authority, clock=SwiftClock(), agent=agent, poll=5.0) as running:
        yield running
