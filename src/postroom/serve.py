"""Runs the service: API, watchers and workers in one process, until a signal ends it."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
import uvloop

from postroom.api import create_app
from postroom.config import ConfigError, Settings
from postroom.core.agent import Agent
from postroom.core.ports import Steps
from postroom.engine.keys import Keyring
from postroom.logs import configure
from postroom.service import (
    DEFAULT_SITE,
    EMBEDDED_OWNER,
    Service,
    api_parts,
    data_directory,
    opened,
    write_private,
)

log = structlog.get_logger()

GRACE_SECONDS = 20.0
ADMIN_KEY_FILE = "admin-key"


def serve(
    settings: Settings,
    agent: Agent | None = None,
    *,
    steps: Steps | None = None,
    started: Callable[[Service], None] | None = None,
) -> None:
    """Run until SIGINT or SIGTERM. Work under way is finished within 20 s; a second signal ends it at once.

    `agent` stands in for the one that the settings name; `started` is given the service once it is built.
    Raises `ConfigError` when the settings cannot be used.
    """
    configure(settings.log_level, settings.log_format)
    with data_directory(settings), bound_socket(settings) as listening:
        uvloop.run(_serve(settings, agent, steps, started, listening))


@contextmanager
def bound_socket(settings: Settings) -> Iterator[socket.socket]:
    """The listening socket, bound before anything else is started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, settings.port))
        except OSError as exc:
            raise ConfigError(
                [f"POSTROOM_PORT: cannot listen on {settings.host}:{settings.port}; is it in use?"]
            ) from exc
        yield listening


async def _serve(
    settings: Settings,
    agent: Agent | None,
    steps: Steps | None,
    started: Callable[[Service], None] | None,
    listening: socket.socket,
) -> None:
    async with opened(settings, agent, steps) as service:
        await prepare(service)
        if started is not None:
            started(service)
        async with running_api(service, listening):
            await _work(service)


async def prepare(service: Service) -> None:
    """What every start does before work begins: the environment's site, the admin key, work left behind."""
    if service.made_key_file is not None:
        log.info("secret_key.made", file=str(service.made_key_file))
    email = service.settings.email
    await service.accounts.set_environment(DEFAULT_SITE, email.document if email else None)
    await _admin_key(service)
    if service.settings.embedded:
        # The data directory is locked: whoever held these claims is dead.
        await service.store.desk.release(EMBEDDED_OWNER)


async def _admin_key(service: Service) -> None:
    keyring = Keyring(service.store.keys, service.clock)
    await keyring.adopt(service.settings.api_key)
    if await keyring.has_admin():
        return
    secret = (await keyring.create("first start", None)).secret
    if sys.stderr.isatty():
        print(f"\nAdmin key, shown once: {secret}\n", file=sys.stderr)  # noqa: T201
        return
    path = service.settings.data_dir / ADMIN_KEY_FILE
    path.unlink(missing_ok=True)
    write_private(path, secret + "\n")
    log.info("admin_key.made", file=str(path))


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: ours decides when the API stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@asynccontextmanager
async def running_api(service: Service, listening: socket.socket) -> AsyncIterator[None]:
    """Serve the API on the socket for the time of the block."""
    config = uvicorn.Config(
        create_app(api_parts(service)),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=int(GRACE_SECONDS),
        h11_max_incomplete_event_size=65_536,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn says so by a flag alone
        await asyncio.sleep(0.01)
    host, port = listening.getsockname()[:2]
    log.info("api.listening", host=host, port=port)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def _work(service: Service) -> None:
    """Run the worker until a signal; then let it finish what it has begun. A second signal ends it."""
    working = asyncio.create_task(service.worker.run())
    signals = _Signals()
    with signals.listening():
        stopped = asyncio.create_task(signals.first.wait())
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await service.bells.close()
        hurried = asyncio.create_task(signals.second.wait())
        await asyncio.wait({working, hurried}, timeout=GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in (working, stopped, hurried):
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    if not signals.second.is_set():
        await service.mailer.close()
    log.info("service.stopped")


class _Signals:
    """SIGINT and SIGTERM as events."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals for the time of the block."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._came)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _came(self) -> None:
        (self.second if self.first.is_set() else self.first).set()
