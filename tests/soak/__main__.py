"""Mail for hours of trouble in minutes: `python -m tests.soak --mails 2000 --accounts 20 --minutes 10`.

The service runs as a process of its own, by the system's clock. While mails come to every account, a person
reads half of them first, servers say BYE, throttle, change UIDVALIDITY three times and expunge; connections
go half-open, are cut and slow. At the end each mail must have exactly one answer, and Answered must be the
only flag that we changed.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path

from tests.soak.account import SoakAccount, soak_account
from tests.soak.report import verdict
from tests.soak.trouble import Trouble
from tests.support.certificates import CertificateAuthority
from tests.support.processes import started
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.served import Served, served

LAST_ANSWERS = 660.0
"""Seconds that the last answers may take, once nothing is disturbed any more: an account that was told to
wait does so for up to ten minutes."""


@dataclass
class Answers:
    """What the submission server got, by the Message-ID that is answered."""

    sink: ScriptedSmtp
    counts: Counter[str] = field(default_factory=Counter)
    at: dict[str, float] = field(default_factory=dict)
    _read: int = 0

    def look(self) -> None:
        """Take in what came since the last look."""
        new = self.sink.messages[self._read :]
        self._read += len(new)
        for received in new:
            answered = str(message_from_bytes(received.data)["In-Reply-To"] or "").strip(" <>")
            self.counts[answered] += 1
            self.at.setdefault(answered, time.monotonic())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(0.02)  # how exact times are


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the run is to be like."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--mails", type=int, default=2_000)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--poll", type=int, default=15, help="seconds between two safety polls")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(given)


async def soak(options: argparse.Namespace, folder: Path) -> bool:
    """Run it; whether everything was kept."""
    authority = CertificateAuthority(folder)
    tls = authority.localhost().context()
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(ScriptedSmtp(tls=tls))
        accounts = [
            await stack.enter_async_context(soak_account(f"soak-{number}", tls))
            for number in range(options.accounts)
        ]
        service = await asyncio.to_thread(lambda: stack.enter_context(_service(folder, authority, options)))
        answers = Answers(sink)
        looking = asyncio.create_task(answers.run())
        await asyncio.to_thread(_connect, service, accounts, sink.port)
        await _watching(accounts)
        await _mails(accounts, options)
        await _last(accounts, answers)
        looking.cancel()
        rows, held = verdict(accounts, answers.counts, answers.at)
        _print(rows, held=held)
        return held


def _service(
    folder: Path, authority: CertificateAuthority, options: argparse.Namespace
) -> AbstractContextManager[Served]:
    variables = {
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(authority.ca_file),
        "EMAIL_POLL_INTERVAL_SECONDS": str(options.poll),
    }
    return served(folder, variables, launch=started)


def _connect(service: Served, accounts: Sequence[SoakAccount], port: int) -> None:
    with service.client() as admin:
        for account in accounts:
            channel = {
                "email": account.address,
                "incomingServer": "localhost",
                "incomingPort": account.proxy.address[1],
                "incomingSecurity": "tls",
                "outgoingServer": "localhost",
                "outgoingPort": port,
                "outgoingSecurity": "tls",
            }
            settings = {"channels": {"email": channel}, "caps": {"newSendersPerHour": None}}
            admin.patch(f"/api/sites/{account.site}/settings", json=settings).raise_for_status()
            token = {"site_id": account.site, "token_type": "email", "identifier": account.address}
            body = token | {"value": "secret", "store_in_db": True}
            admin.post("/api/secure-tokens/encrypt", json=body).raise_for_status()


async def _watching(accounts: Sequence[SoakAccount]) -> None:
    await _until(lambda: all(account.box.counts.commands["IDLE"] for account in accounts), 60.0)


async def _mails(accounts: Sequence[SoakAccount], options: argparse.Namespace) -> None:
    """Every other mail was read by a person first."""
    seconds = options.minutes * 60
    trouble = asyncio.create_task(Trouble(accounts, seconds, options.poll, options.seed).run())
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(options.mails):
        accounts[number % len(accounts)].deliver(number, read=number // len(accounts) % 2 == 0)
        await asyncio.sleep(max(began + (number + 1) * seconds / options.mails - loop.time(), 0))
    await trouble


async def _last(accounts: Sequence[SoakAccount], answers: Answers) -> None:
    for account in accounts:
        account.proxy.heal()
    wanted = {name for account in accounts for name in account.delivered}
    await _until(lambda: wanted <= answers.counts.keys(), LAST_ANSWERS)
    await asyncio.sleep(5.0)  # what came twice would come now
    answers.look()


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for the condition, at most so long."""
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:  # noqa: ASYNC110 - another process tells nobody
        await asyncio.sleep(0.1)


def _print(rows: Sequence[tuple[str, str]], *, held: bool) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    print("held" if held else "NOT HELD")


def main() -> None:
    """From the command line; exit code 1 when something was not kept."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        held = asyncio.run(soak(arguments(), Path(folder)))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
