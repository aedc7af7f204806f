"""Ours beside hermes-agent 0.19 in one run: delivered, agent called, reply in the correspondent's mailbox.

`python -m bench.peers [mails]`. The peer is installed into a virtual environment of its own (`bench/.venv`)
at the first run. Both get mails in turns from the same Dovecot and answer through the same Postfix. The
peer polls every 15 s, its default. See bench/peers.md.
"""

import argparse
import os
import random
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, quantile, report
from bench.letters import correspondent, question
from bench.rig import connect, quick_world, running_service, until_watching
from tests.support.served import eventually
from tests.support.world import PASSWORD, World

PEER = "hermes-agent==0.19.*"
ENVIRONMENT = Path(__file__).parent / ".venv"
OURS, THEIRS = "ours@bench.test", "peer@bench.test"
PAUSE = 2.5
"""Seconds between two mails, about."""
PATIENCE = 120.0


def bench(mails: int) -> None:
    """Measure and report."""
    python = _installed()
    with ExitStack() as stack:
        world = stack.enter_context(quick_world())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="pb-")))
        calls = {OURS: folder / "ours", THEIRS: folder / "theirs"}
        for path in calls.values():
            path.touch()
        _start_ours(stack, world, calls[OURS])
        stack.enter_context(_running_peer(python, world, calls[THEIRS], folder))
        delivered = _deliver(world, mails)
        replied = {number: _replied(world, number) for number in delivered}
        called = {address: _calls(path) for address, path in calls.items()}
    report("peers", {"mails a side": mails, "peer": PEER}, _figures(delivered, called, replied))


def _installed() -> Path:
    """The Python of the peer's environment, which is made if it is not there."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    if subprocess.run([python, "-c", "import plugins.platforms.email.adapter"], check=False).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
    return python


def _start_ours(stack: ExitStack, world: World, calls: Path) -> None:
    service = stack.enter_context(running_service(world.ca_file, calls))
    with service.client() as client:
        connect(client, "site", OURS, world.imaps, world.smtps)
        until_watching(client, "site")


@contextmanager
def _running_peer(python: Path, world: World, calls: Path, home: Path) -> Iterator[None]:
    world.deliver(THEIRS, question(10**6, THEIRS))  # what was there before is not answered
    variables = {
        **os.environ,
        "HOME": str(home),
        "HERMES_HOME": str(home / "peer"),
        "BENCH_CALLS": str(calls),
        "EMAIL_ADDRESS": THEIRS,
        "EMAIL_PASSWORD": PASSWORD,
        "EMAIL_IMAP_HOST": "localhost",
        "EMAIL_IMAP_PORT": str(world.imaps),
        "EMAIL_SMTP_HOST": "localhost",
        "EMAIL_SMTP_PORT": str(world.submission),
        "EMAIL_ALLOW_ALL_USERS": "true",
        "SSL_CERT_FILE": str(world.ca_file),
    }
    log = home / "peer.log"
    with log.open("wb") as output:
        command = [python, "-I", Path(__file__).parent / "peer_hermes.py"]
        process = subprocess.Popen(command, env=variables, cwd=home, stdout=output, stderr=output)
    try:
        eventually(lambda: "\nconnected" in log.read_text(errors="replace") or process.poll() is not None, 60)
        if process.poll() is not None:
            sys.exit(f"the peer ended:\n{log.read_text(errors='replace')}")
        yield
    finally:
        process.kill()
        process.wait()


def _deliver(world: World, mails: int) -> dict[int, tuple[float, float]]:
    """Even numbers to us, odd ones to the peer; when each was delivered, by both clocks."""
    delivered = {}
    for number in range(2 * mails):
        address = OURS if number % 2 == 0 else THEIRS
        world.deliver(address, question(number, address))
        delivered[number] = time.monotonic(), time.time()
        time.sleep(PAUSE * random.uniform(0.5, 1.5))
    return delivered


def _replied(world: World, number: int) -> float:
    """When the reply lay in the mailbox of the correspondent (seconds of the wall clock)."""
    folder = world.root / "mail" / correspondent(number) / "Maildir" / "new"
    eventually(lambda: any(folder.glob("*")), PATIENCE)
    return min(path.stat().st_mtime for path in folder.glob("*"))


def _calls(path: Path) -> dict[int, float]:
    return {int(number): float(at) for number, at in (line.split() for line in path.read_text().splitlines())}


def _figures(
    delivered: Mapping[int, tuple[float, float]],
    called: Mapping[str, Mapping[int, float]],
    replied: Mapping[int, float],
) -> list[Figure]:
    """Ours, with the peer's in the place of the floor."""
    figures = []
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        calls = [
            quantile([called[address][n] - delivered[n][0] for n in delivered if n % 2 == rest], share)
            for rest, address in enumerate((OURS, THEIRS))
        ]
        replies = [
            quantile([replied[n] - delivered[n][1] for n in delivered if n % 2 == rest], share)
            for rest in (0, 1)
        ]
        figures.append(Figure(f"delivered → agent called, {name}", "s", calls[0], calls[1]))
        figures.append(Figure(f"delivered → reply in its mailbox, {name}", "s", replies[0], replies[1]))
    return figures


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mails", type=int, nargs="?", default=30)
    bench(parser.parse_args().mails)


if __name__ == "__main__":
    main()
