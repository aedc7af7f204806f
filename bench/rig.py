"""What a bench runs on: the mail world tuned for measuring, and the service as a process of its own."""

import asyncio
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from bench.agent import CALLS
from tests.support.processes import started
from tests.support.served import Served, eventually, served
from tests.support.world import PASSWORD, World, running_world

_HIBERNATING = """
imap_hibernate_timeout = 1 s
service imap {
  unix_listener imap-master {
    user = $default_internal_user
  }
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0666
  }
}
"""
NO_CAPS = {
    "threadPer10Min": None,
    "threadPer2Hours": None,
    "correspondentPerDay": None,
    "newSendersPerHour": None,
}


@contextmanager
def quick_world() -> Iterator[World]:
    """A world whose Dovecot announces within 10 ms what comes a second after IDLE began."""
    with running_world() as world:
        _appended(world, "dovecot.conf", _HIBERNATING)
        world.stop_dovecot()
        world.start_dovecot()
        yield world


@contextmanager
def discarding_world() -> Iterator[World]:
    """A world whose Postfix accepts, queues and throws away: what comes after 250 is not measured."""
    with running_world() as world:
        _appended(world, "main.cf", "default_transport = discard:\n")
        world.stop_postfix()
        world.start_postfix()
        yield world


def _appended(world: World, name: str, text: str) -> None:
    path = world.root / "conf" / name
    path.write_text(path.read_text() + text)
    os.utime(path, (0, 0))


def client_context(world: World) -> ssl.SSLContext:
    """Trusts the world's authority."""
    return ssl.create_default_context(cafile=str(world.ca_file))


def server_context(world: World) -> ssl.SSLContext:
    """Serves with the world's certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.root / "tls" / "localhost.pem", world.root / "tls" / "localhost.key")
    return context


@contextmanager
def running_service(ca_file: Path, calls: Path | None = None, **extra: str) -> Iterator[Served]:
    """The service without a site, its data in a new folder; the agent notes its calls in `calls`."""
    variables = {
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(ca_file),
        "POSTROOM_AGENT": "python:bench.agent:reply",
        "POSTROOM_LOG_LEVEL": "warning",
        **extra,
    }
    database = os.environ.get("BENCH_DATABASE_URL")
    if database:
        variables["POSTROOM_DATABASE_URL"] = database
    if calls:
        variables[CALLS] = str(calls)
    # The line that tells the port is logged at info.
    variables["POSTROOM_LOG_LEVEL"] = "info"
    with (
        tempfile.TemporaryDirectory(prefix="pb-") as folder,
        served(Path(folder), variables, launch=started) as service,
    ):
        yield service


def connect(client: httpx2.Client, site: str, address: str, imap: int, smtp: int) -> None:
    """A site for this address with all caps lifted; both ports speak TLS from the start."""
    token = {"site_id": site, "token_type": "email", "identifier": address, "value": PASSWORD}
    client.post("/api/secure-tokens/encrypt", json={**token, "store_in_db": True}).raise_for_status()
    channel = {
        "email": address,
        "incomingServer": "localhost",
        "incomingPort": imap,
        "incomingSecurity": "tls",
        "outgoingServer": "localhost",
        "outgoingPort": smtp,
        "outgoingSecurity": "tls",
    }
    settings = {"channels": {"email": channel}, "caps": NO_CAPS}
    client.patch(f"/api/sites/{site}/settings", json=settings).raise_for_status()


def until_watching(client: httpx2.Client, site: str) -> None:
    """Return once the site's account watches its mailbox."""

    def watching() -> bool:
        account = client.get(f"/api/sites/{site}").json()["account"]
        return bool(account and account["state"] == "watching")

    eventually(watching)


async def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition of this process. Raises `TimeoutError` that says what did not come."""
    ends = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > ends:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s")
        await asyncio.sleep(0.02)


class PostfixCount:
    """How many mails a Postfix has accepted since it was looked at first, from its log."""

    def __init__(self, world: World) -> None:
        self._log = (world.root / "log" / "postfix.log").open("rb")
        self._log.seek(0, os.SEEK_END)
        self._count = 0

    def now(self) -> int:
        """The count. The queue manager logs a mail right after it was accepted."""
        self._count += sum(line.count(b"(queue active)") for line in self._log)
        return self._count


def run(bench: Callable[[], Awaitable[None]]) -> None:
    """Run a bench on the loop that the service uses, too."""
    import uvloop

    async def main() -> None:
        await bench()

    uvloop.run(main())
