"""A site whose history is read: by the engine as another process has it, or by the command."""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from postroom.adapters.hosts import AllowedHosts, PublicHosts
from postroom.adapters.mailbox import ImapAccess
from postroom.core.model import Message
from postroom.core.ports import NoSteps, Steps
from postroom.engine.backfill import Backfill, BackfillProgress
from postroom.sandbox.mailboxes import MailFolder
from tests.scenario.watch.postbox import Postbox
from tests.scenario.watch.rig import DEADLINES, HASTY, Rig, letter, until
from tests.support.certificates import CertificateAuthority
from tests.support.served import clean_environment

SITE = "site-1"
FEW_DAYS = 90


class Ends(Exception):
    """The process ends here."""


class EndsAt:
    """`core.ports.Steps` that ends the run when a step is reached for the n-th time."""

    def __init__(self, step: str, times: int) -> None:
        self._step = step
        self._left = times

    def reached(self, step: str) -> None:
        """End there."""
        self._left -= step == self._step
        if step == self._step and not self._left:
            raise Ends


class House:
    """A site whose agent notes for what it was asked, its mailbox, and backfills of it."""

    def __init__(self, rig: Rig, box: Postbox, authority: CertificateAuthority, folder: Path) -> None:
        self.rig = rig
        self.box = box
        self.told: list[BackfillProgress] = []
        self.asked: list[str] = []
        self._authority = authority
        self._folder = folder

    def parts(self, steps: Steps | None = None) -> Backfill:
        """As another process has them, with a connection of its own."""
        access = ImapAccess(
            PublicHosts(AllowedHosts.parse(["127.0.0.0/8"])),
            self._authority.client_context(),
            NoSteps(),
            deadlines=DEADLINES,
            patience=HASTY,
        )
        parts = replace(self.rig.service.backfill, access=access, steps=steps or NoSteps())
        return replace(parts, owner=f"process {id(access)}")

    async def backfill(self, steps: Steps | None = None, days: int = FEW_DAYS) -> BackfillProgress:
        """Run one to its end."""
        return await self.parts(steps).run(SITE, days, self.told.append)

    def add(self, raw: bytes, days_ago: float, folder: MailFolder | None = None) -> None:
        """It lies there, received so long ago."""
        received = (self.rig.clock.now() - timedelta(days=days_ago)).replace(microsecond=0)
        (folder or self.box.inbox).add(raw, (), received)

    def history(self, letters: int) -> None:
        """Letters of two months ago, each from somebody else."""
        for number in range(letters):
            self.add(letter(SITE), 60 - number / 24)

    async def watched(self) -> None:
        """The service has read the mailbox."""
        await self.rig.watch(self.box.address[1])

    async def told_more(self) -> None:
        """Wait for the next news of a backfill."""
        before = len(self.told)
        await until(lambda: len(self.told) > before)

    async def stored(self) -> list[Message]:
        """All messages, oldest first."""
        return await self.rig.messages(SITE)

    async def command(self, *options: str) -> asyncio.subprocess.Process:
        """`postroom backfill` as a process of its own, beside the service."""
        variables = {
            "POSTROOM_DATA_DIR": str(self._folder / "data"),
            "POSTROOM_TLS_CA_FILE": str(self._authority.ca_file),
            "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "postroom", "backfill", SITE, *options),
            env=clean_environment(variables),
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
