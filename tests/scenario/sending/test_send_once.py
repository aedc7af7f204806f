"""A4: a hundred calls at once with one Idempotency-Key are one mail, across a kill and among processes."""

import asyncio
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest

from postroom.sandbox.server import Sandbox
from tests.support.mortal import Died, Life, Step, life
from tests.support.sandboxed import ADA, mailbox_environment, mails
from tests.support.sendmail import SEND
from tests.support.served import ADMIN_KEY

CALLS = 100
KEY = {"Idempotency-Key": "one-of-a-hundred", "x-api-key": ADMIN_KEY}
MAIL = {"site_id": "default", "to": ADA, "subject": "Once", "content": "And only once"}
RUNNING = (409, "idempotency_in_progress")

_numbers = count(1)


class Sender:
    """A service's mailbox in the sandbox, and who calls its API."""

    def __init__(self, servers: Sandbox, folder: Path) -> None:
        self.address = f"once-{next(_numbers)}@postroom.test"
        self.folder = folder
        self._servers = servers
        account = mailbox_environment(servers, self.address)
        # Webhook-only: nothing but the calls happens.
        self.variables = {name: value for name, value in account.items() if "IMAP" not in name}

    @property
    def delivered(self) -> Counter[str]:
        """How often each of its mails reached Ada, by Message-ID."""
        arrived = [mail for mail in mails(self._servers, ADA) if self.address in str(mail["From"])]
        return Counter(str(mail["Message-ID"]) for mail in arrived)

    @staticmethod
    async def call(*lives: Life, number: int = CALLS, **changes: Any) -> list[httpx2.Response]:
        """Call so often at once, in turn here and there; the answers, but for those that never came."""
        limits = httpx2.Limits(max_connections=number)
        async with httpx2.AsyncClient(limits=limits, timeout=30, verify=False) as client:
            urls = [f"{lives[n % len(lives)].url}{SEND}" for n in range(number)]
            calls = [client.post(url, json=MAIL | changes, headers=KEY) for url in urls]
            answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, httpx2.TransportError):
                raise answer
        return [answer for answer in answers if isinstance(answer, httpx2.Response)]

    async def call_until_answered(self, *lives: Life) -> list[httpx2.Response]:
        """Call a hundred times at once, and again while the first call of them runs."""
        async with asyncio.timeout(20):
            while True:
                answers = await self.call(*lives)
                if not any(_told(answer) == RUNNING for answer in answers):
                    return answers


def _told(answer: httpx2.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")


@pytest.fixture
def sender(mailboxes: Sandbox, tmp_path: Path) -> Sender:
    return Sender(mailboxes, tmp_path)


async def test_a4_of_a_hundred_calls_at_once_one_sends_and_the_others_learn_of_it(sender: Sender) -> None:
    with life(sender.folder, sender.variables) as service:
        first = await sender.call(service)
        assert {_told(answer) for answer in first} <= {(201, None), RUNNING}
        assert sum(a.status_code == 201 and "idempotent-replayed" not in a.headers for a in first) == 1
        again = await sender.call(service)
        assert len({answer.text for answer in again}) == 1
        assert {(a.status_code, a.headers.get("idempotent-replayed")) for a in again} == {(201, "true")}
        other = await sender.call(service, number=1, content="Another mail")
        assert _told(other[0]) == (422, "idempotency_key_reused")
        assert list(sender.delivered.values()) == [1]


async def test_a4_two_processes_share_their_keys(sender: Sender, shared_database: str) -> None:
    variables = {
        **sender.variables,
        "POSTROOM_DATABASE_URL": shared_database,
        "POSTROOM_SECRET_KEY": "A" * 43 + "=",
    }
    with life(sender.folder, variables) as one, life(sender.folder, variables) as other:
        first = await sender.call(one, other)
        assert len(first) == CALLS
        assert {_told(answer) for answer in first} <= {(201, None), RUNNING}
        again = await sender.call_until_answered(one, other)
        assert len({answer.text for answer in again}) == 1
        assert list(sender.delivered.values()) == [1]


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        ("commit:idempotency-begin", "sent"),
        ("commit:submission-add", "sent"),
        ("smtp:354", "sent"),
        ("commit:transmitting", "unknown"),
        ("smtp:read:message", "unknown"),
        ("commit:submission-record", "sent"),
        ("before-commit:idempotency-finish", "sent"),
    ],
)
async def test_a4_killed_in_the_middle_of_a_hundred_calls_it_still_sends_one_mail(
    sender: Sender, step: str, outcome: str
) -> None:
    with life(sender.folder, sender.variables, Step(step, 1)) as service:
        answers = await sender.call(service)
        assert {_told(answer) for answer in answers} <= {RUNNING}
        with pytest.raises(Died):
            service.until(lambda: False)
    with life(sender.folder, sender.variables) as service:
        answers = await sender.call_until_answered(service)
        assert len(answers) == CALLS
        assert len({answer.text for answer in answers}) == 1
        assert {answer.status_code for answer in answers} <= ({201, 202} if outcome == "sent" else {202})
        [submission] = service.until(lambda: _ended(service))
        assert submission["status"] == outcome
        assert submission["id"] == answers[0].json()["submission_id"]
    times = list(sender.delivered.values())
    assert times == [1] if outcome == "sent" else times in ([], [1])


def _ended(service: Life) -> list[dict[str, Any]] | None:
    """The submissions of the site once the service is done with all of them."""
    answer = service.request("GET", "/api/sites/default/submissions")
    items: list[dict[str, Any]] = answer.json()["items"] if answer is not None else []
    return items if items and all(item["status"] in ("sent", "unknown") for item in items) else None
