"""The mails of a storm: delivered as a mail server does, each with an id to find its answer by."""

import asyncio
import smtplib
import time
from dataclasses import dataclass, field

from tests.storm.ground import Ground

PEOPLE = 200


@dataclass(slots=True)
class Letters:
    """`ids`: the Message-IDs of what was delivered."""

    ground: Ground
    ids: list[str] = field(default_factory=list)

    async def deliver(self, number: int, seconds: float) -> None:
        """So many mails to the accounts in turn, evenly over the time; while the server is away they wait."""
        began = time.monotonic()
        for sent in range(number):
            due = began + seconds * sent / number
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._one()

    async def _one(self) -> None:
        number = len(self.ids)
        account = self.ground.accounts[number % len(self.ground.accounts)]
        person, message_id = f"person{number % PEOPLE}@people.test", f"storm-{number}@people.test"
        raw = (
            f"From: {person}\r\nTo: {account}\r\nSubject: Question {number}\r\n"
            f"Message-ID: <{message_id}>\r\nDate: Mon, 02 Mar 2026 09:00:00 +0000\r\n\r\n"
            f"This is question number {number}.\r\n"
        ).encode()
        await asyncio.to_thread(self._until_delivered, account, raw, person)
        self.ids.append(message_id)

    def _until_delivered(self, account: str, raw: bytes, person: str) -> None:
        while True:
            try:
                return self.ground.world.deliver(account, raw, person)
            except (OSError, smtplib.SMTPException):
                time.sleep(1)
