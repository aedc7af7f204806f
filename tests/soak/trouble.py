"""What goes wrong during the soak: the network, the server, and a person at the same mailbox."""

import asyncio
import random
from collections.abc import Sequence

from tests.soak.account import SoakAccount, throttle

RENUMBERINGS = 3
EVERY_SECONDS = 60.0
"""Between two faults of one account."""


class Trouble:
    """Disturbs the accounts, one after the other, until told to stop. `poll`: the service's safety poll."""

    def __init__(self, accounts: Sequence[SoakAccount], seconds: float, poll: float, seed: int) -> None:
        self._accounts = accounts
        self._seconds = seconds
        self._poll = poll
        self._chance = random.Random(seed)

    async def run(self) -> None:
        """Until the time is over; what was disturbed is whole again then."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._seconds
        pause = EVERY_SECONDS / len(self._accounts)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renumber())
            while (left := ends - loop.time()) > 0:
                group.create_task(self._one())
                await asyncio.sleep(min(pause, left))  # faults come one by one

    async def _one(self) -> None:
        account = self._chance.choice(self._accounts)
        kind = self._chance.choice(("bye", "throttle", "half-open", "cut", "slow", "expunge"))
        felt = self._poll + 45.0
        if kind == "bye":
            account.disturb(kind, 30.0)
            await account.box.farewell()
        elif kind == "throttle":
            account.disturb(kind, 60.0)
            await throttle(account, min(3.0, self._seconds / 10))
        elif kind == "half-open":
            account.disturb(kind, felt)
            account.proxy.swallow()
        elif kind == "cut":
            account.disturb(kind, 30.0)
            account.proxy.cut()
        elif kind == "slow":
            account.disturb(kind, felt)
            account.proxy.delay, account.proxy.rate = 0.05, 20_000.0
            await asyncio.sleep(min(5.0, self._seconds / 10))  # the fault's own length
            account.proxy.heal()
        else:
            self._tidy(account)

    def _tidy(self, account: SoakAccount) -> None:
        """A person throws away what is answered, and something that came this moment."""
        answered = [mail for mail in account.box.inbox.mails if "\\Answered" in mail.flags]
        account.faults["expunge"] += 1
        account.box.inbox.expunge(answered[: len(answered) // 2])
        account.haunt(len(account.ghosts))

    async def _renumber(self) -> None:
        """Every account's server changes UIDVALIDITY three times."""
        gap = self._seconds / (RENUMBERINGS + 1) / max(len(self._accounts), 1)
        for _ in range(RENUMBERINGS):
            for account in self._accounts:
                await asyncio.sleep(gap)  # spread over the run
                account.disturb("renumber", 45.0)
                account.box.renumber()
                await account.box.farewell()
