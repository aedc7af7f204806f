"""sendEmail requests, each stored before it is sent: how many a second, against aiosmtplib on one connection.

`python -m bench.send [mails] [--rounds N] [--callers N]`. Ours and the floor take turns on the same Postfix,
with the same recipients and text. The callers keep their HTTP connections and wait for each answer.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit

from aiosmtplib import SMTP

from bench.figures import Aim, Figure, quantile, report
from bench.letters import correspondent
from bench.rig import client_context, connect, discarding_world, run, running_service
from tests.support.served import ADMIN_KEY, Served
from tests.support.world import PASSWORD, World

SENDER = "send@bench.test"
TEXT = "Your parcel left our house today.\n\nIt should be with you on *Thursday*.\n"
SHARE = 0.25


@dataclass(slots=True)
class Rates:
    """Mails a second, per round; `waits`: seconds from each request to its answer."""

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


async def bench(mails: int, rounds: int, callers: int) -> None:
    """Measure and report."""
    rates = Rates()
    with ExitStack() as stack:
        world = stack.enter_context(discarding_world())
        service = await asyncio.to_thread(stack.enter_context, running_service(world.ca_file))
        with service.client() as client:
            connect(client, "send", SENDER, world.imaps, world.smtps)
        await _ours(service, range(20), callers, Rates())
        for _ in range(rounds):
            rates.floor.append(await _floor(world, range(mails)))
            await _ours(service, range(mails), callers, rates)
    report("send", _setting(mails, rounds, callers), _figures(rates))


async def _floor(world: World, numbers: Sequence[int]) -> float:
    context = client_context(world)
    mails = [(correspondent(number), _mail(number)) for number in numbers]  # writing them is not measured
    begun = time.monotonic()
    smtp = SMTP(
        hostname="localhost",
        port=world.smtps,
        use_tls=True,
        tls_context=context,
        username=SENDER,
        password=PASSWORD,
    )
    async with smtp:
        for recipient, raw in mails:
            await smtp.sendmail(SENDER, [recipient], raw)
    return len(numbers) / (time.monotonic() - begun)


def _mail(number: int) -> bytes:
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = SENDER
    mail["To"] = correspondent(number)
    mail["Subject"] = f"Your order {number}"
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain="bench.test")
    mail.set_content(TEXT)
    return mail.as_bytes()


async def _ours(service: Served, numbers: Sequence[int], callers: int, rates: Rates) -> None:
    waiting = iter(numbers)
    begun = time.monotonic()
    await asyncio.gather(*(_caller(service.url, waiting, rates) for _ in range(callers)))
    rates.ours.append(len(numbers) / (time.monotonic() - begun))


async def _caller(url: str, numbers: Iterator[int], rates: Rates) -> None:
    host = urlsplit(url)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    for number in numbers:
        begun = time.monotonic()
        writer.write(_request(number))
        status = await _answer(reader)
        if status != 201:
            raise RuntimeError(f"sendEmail answered {status}")
        rates.waits.append(time.monotonic() - begun)
    writer.close()


def _request(number: int) -> bytes:
    document = {
        "site_id": "send",
        "to": correspondent(number),
        "subject": f"Your order {number}",
        "content": TEXT,
    }
    body = json.dumps(document).encode()
    head = (
        "POST /api/agents/tools/sendEmail HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {ADMIN_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
    await reader.readexactly(length)
    return int(lines[0].split()[1])


def _figures(rates: Rates) -> list[Figure]:
    aim = Aim(f"≥ {SHARE:.0%} of the floor", "at least of floor", SHARE)
    ours, floor = statistics.median(rates.ours), statistics.median(rates.floor)
    waits = [1000 * wait for wait in rates.waits]
    return [
        Figure("mails accepted", "/s", ours, floor, aim),
        Figure("request → answer, p50", "ms", quantile(waits, 0.5), 0.0),
        Figure("request → answer, p95", "ms", quantile(waits, 0.95), 0.0),
    ]


def _setting(mails: int, rounds: int, callers: int) -> dict[str, str | int | float]:
    return {
        "mails a round": mails,
        "rounds (median shown)": rounds,
        "callers at once": callers,
        "database": "PostgreSQL" if os.environ.get("BENCH_DATABASE_URL") else "SQLite",
        "sink": "Postfix, discarding",
        "floor": "aiosmtplib, one kept connection",
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mails", type=int, nargs="?", default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callers", type=int, default=16)
    given = parser.parse_args()
    run(lambda: bench(given.mails, given.rounds, given.callers))


if __name__ == "__main__":
    main()
