"""From delivered to agent called, and to reply accepted: ours against bare clients on the same Dovecot.

`python -m bench.latency [mails]`. Half of the mailboxes are ours, half are followed by bare clients; they get
their mails in turns. Each mailbox rests long enough between two mails for Dovecot to hibernate its IDLE: it
waits half a second before it announces anything until then.
"""

import argparse
import asyncio
import random
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.bare import BareImap, BareSmtp
from bench.figures import Aim, Figure, quantile, report
from bench.letters import bare_reply, number_of, question
from bench.rig import (
    client_context,
    connect,
    quick_world,
    run,
    running_service,
    server_context,
    until,
    until_watching,
)
from bench.sink import Sink, running_sink
from tests.support.served import Served
from tests.support.world import PASSWORD, World

REST = 2.5
"""Seconds between two mails of one mailbox."""
MAILBOXES = 6
"""On each side."""


@dataclass(slots=True)
class Times:
    """When each numbered mail was delivered, and when its agent was called (monotonic seconds)."""

    delivered: dict[int, float] = field(default_factory=dict)
    called: dict[int, float] = field(default_factory=dict)


async def bench(mails: int) -> None:
    """Measure and report."""
    with ExitStack() as stack:
        world = stack.enter_context(quick_world())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        calls = folder / "calls"
        calls.touch()
        service = await asyncio.to_thread(stack.enter_context, running_service(world.ca_file, calls))
        async with running_sink(server_context(world)) as sink:
            times = await _measure(world, service, sink, mails)
        times.called.update(_calls(calls))
    report("latency", _setting(mails), _figures(times, sink, mails))


async def _measure(world: World, service: Served, sink: Sink, mails: int) -> Times:
    ours = [f"ours{n}@bench.test" for n in range(MAILBOXES)]
    bare = [f"bare{n}@bench.test" for n in range(MAILBOXES)]
    times = Times()
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(_connect_all, world, service, ours, sink.port)
        clients = []
        for address in bare:
            await asyncio.to_thread(world.deliver, address, question(10**6, address))
            clients.append(asyncio.create_task(_bare_client(world, sink, address, times)))
        stack.callback(lambda: [client.cancel() for client in clients])
        await asyncio.sleep(REST)
        await _deliver(world, ours, bare, mails, times)
        await until(lambda: set(times.delivered) <= set(sink.accepted), 60, "the last reply")
    return times


def _connect_all(world: World, service: Served, addresses: list[str], smtp: int) -> None:
    with service.client() as client:
        for number, address in enumerate(addresses):
            connect(client, f"site{number}", address, world.imaps, smtp)
        for number, _ in enumerate(addresses):
            until_watching(client, f"site{number}")


async def _bare_client(world: World, sink: Sink, address: str, times: Times) -> None:
    context = client_context(world)
    imap = await BareImap.open(world.imaps, context, address, PASSWORD)
    smtp = await BareSmtp.open(sink.port, context, address, PASSWORD)
    next_uid = 2
    while True:
        await imap.until_new()
        raws = [raw async for raw in imap.fetch(f"{next_uid}:*")]
        next_uid += len(raws)
        for raw in raws:
            times.called[number_of(raw)] = time.monotonic()
            recipient, reply = bare_reply(raw, address)
            await smtp.send(address, [recipient], reply)


async def _deliver(world: World, ours: list[str], bare: list[str], mails: int, times: Times) -> None:
    """Even numbers are ours, odd ones the floor's; in turns, at times that no poll can guess."""
    pause = REST / (2 * MAILBOXES)
    for number in range(2 * mails):
        addresses = ours if number % 2 == 0 else bare
        address = addresses[number // 2 % MAILBOXES]
        times.delivered[number] = await asyncio.to_thread(_delivered, world, address, number)
        await asyncio.sleep(pause * random.uniform(0.9, 1.1))


def _delivered(world: World, address: str, number: int) -> float:
    world.deliver(address, question(number, address))
    return time.monotonic()


def _calls(path: Path) -> dict[int, float]:
    return {int(number): float(at) for number, at in (line.split() for line in path.read_text().splitlines())}


def _figures(times: Times, sink: Sink, mails: int) -> list[Figure]:
    def waits(ends: dict[int, float], first: int) -> list[float]:
        return [1000 * (ends[n] - times.delivered[n]) for n in range(first, 2 * mails, 2)]

    lines = []
    for what, ends, aims in (
        ("agent called", times.called, (15, 50)),
        ("accepted", sink.accepted, (40, 120)),
    ):
        for name, share, aim in (("p50", 0.5, aims[0]), ("p95", 0.95, aims[1])):
            ours, floor = quantile(waits(ends, 0), share), quantile(waits(ends, 1), share)
            text = f"≤ floor + {aim} ms"
            lines.append(
                Figure(
                    f"delivered → {what}, {name}", "ms", ours, floor, Aim(text, "at most above floor", aim)
                )
            )
    return lines


def _setting(mails: int) -> dict[str, str | int | float]:
    return {
        "mails a side": mails,
        "mailboxes a side": MAILBOXES,
        "source": "Dovecot, LMTP, hibernating",
        "sink": "bench sink, TLS, one connection a mailbox",
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mails", type=int, nargs="?", default=120)
    mails = parser.parse_args().mails
    run(lambda: bench(mails))


if __name__ == "__main__":
    main()
