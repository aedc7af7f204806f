"""Runs the service until a signal ends it: API, watchers and workers in one process, or by role in many."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import structlog
import uvloop

from postroom.api_server import running_api
from postroom.config import ConfigError, Settings, wrong
from postroom.core.agent import Agent
from postroom.core.errors import Conflict, PostroomError
from postroom.core.ports import Clock, Steps
from postroom.datadir import held_data_directory, write_private
from postroom.ending import Ending
from postroom.engine.keys import Keyring
from postroom.engine.restored import settle_if_restored
from postroom.logs import configure
from postroom.open_files import allow_all_open_files
from postroom.service import DEFAULT_SITE, EMBEDDED_OWNER, Service, opened

log = structlog.get_logger()

GRACE_SECONDS = 20.0
FINISH_SECONDS = 15.0
"""Of the grace: work under way may finish. The rest is for closing connections and the database."""
HAND_OVER_SECONDS = 2.0
ADMIN_KEY_FILE = "admin-key"


def serve(
    settings: Settings,
    agent: Agent | None = None,
    *,
    steps: Steps | None = None,
    clock: Clock | None = None,
    started: Callable[[Service], None] | None = None,
) -> None:
    """Run everything until SIGINT or SIGTERM. Work under way is finished within 20 s; a second signal ends
    it at once.

    `agent` stands in for the one that the settings name, `steps` and `clock` for those of production;
    `started` is given the service once it is built.
    Raises `PostroomError` when it cannot start, and `SystemExit` when a fault of our own ended it.
    """
    _begin(settings)
    with _alone(settings), bound_socket(settings) as listening:
        bound = replace(settings, port=listening.getsockname()[1])
        _run(_serve(bound, agent, steps, clock, started, listening))


def serve_api(settings: Settings) -> None:
    """Run the API alone, as `serve` does. Raises `ConfigError` on the embedded database."""
    _begin(settings)
    _refuse_embedded(settings)
    with bound_socket(settings) as listening:
        _run(_serve_api(replace(settings, port=listening.getsockname()[1]), listening))


def serve_worker(
    settings: Settings,
    agent: Agent | None = None,
    *,
    steps: Steps | None = None,
    clock: Clock | None = None,
    started: Callable[[Service], None] | None = None,
) -> None:
    """Watch and answer without the API, as `serve` does. Raises `ConfigError` on the embedded database."""
    _begin(settings)
    _refuse_embedded(settings)
    _run(_serve_worker(settings, agent, steps, clock, started))


def _begin(settings: Settings) -> None:
    configure(settings.log_level, settings.log_format)
    for note in settings.notes:
        log.warning("configuration.note", note=note)
    allow_all_open_files()


def _refuse_embedded(settings: Settings) -> None:
    if settings.embedded:
        raise wrong(
            "POSTROOM_DATABASE_URL",
            "names no PostgreSQL, which several processes need",
            "give postgresql://…, or run `postroom serve`, which does everything in one process",
        )


def _alone(settings: Settings) -> AbstractContextManager[object]:
    """The embedded database has one process; PostgreSQL any number."""
    return held_data_directory(settings.data_dir) if settings.embedded else nullcontext()


def _run(serving: Coroutine[Any, Any, None]) -> None:
    try:
        uvloop.run(serving)
    except PostroomError:
        raise
    except Exception as exc:
        log.exception("service.failed")
        raise SystemExit(1) from exc


@contextmanager
def bound_socket(settings: Settings) -> Iterator[socket.socket]:
    """The listening socket, bound before anything else is started. Raises `ConfigError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, settings.port))
        except OSError as exc:
            raise _cannot_listen(exc) from exc
        yield listening


def _cannot_listen(error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return wrong("POSTROOM_PORT", "is in use", "stop what listens there, or give another port")
    if error.errno == errno.EACCES:
        return wrong("POSTROOM_PORT", "may not be used by this user", "give a port from 1024 on")
    return wrong("POSTROOM_HOST", "is no address that can be listened on")


async def _serve(
    settings: Settings,
    agent: Agent | None,
    steps: Steps | None,
    clock: Clock | None,
    started: Callable[[Service], None] | None,
    listening: socket.socket,
) -> None:
    ending = Ending(GRACE_SECONDS)
    owner = EMBEDDED_OWNER if settings.embedded else None
    with ending.listening():
        async with opened(settings, agent, steps, clock, owner=owner) as service:
            await prepare(service)
            if started is not None:
                started(service)
            async with running_api(service, listening, FINISH_SECONDS) as api:
                working = asyncio.create_task(service.worker.run())
                await _until_asked(service, {working, api.ended}, ending.asked, api.stop)
        log.info("service.stopped")


async def _serve_api(settings: Settings, listening: socket.socket) -> None:
    ending = Ending(GRACE_SECONDS)
    with ending.listening():
        async with opened(settings, role="api") as service:
            await prepare(service)
            async with running_api(service, listening, FINISH_SECONDS) as api:
                await _until_asked(service, {api.ended}, ending.asked, api.stop)
        log.info("service.stopped")


async def _serve_worker(
    settings: Settings,
    agent: Agent | None,
    steps: Steps | None,
    clock: Clock | None,
    started: Callable[[Service], None] | None,
) -> None:
    ending = Ending(GRACE_SECONDS)
    with ending.listening():
        async with opened(settings, agent, steps, clock, role="worker") as service:
            await _environment_site(service)
            await settle_if_restored(service.store.restoring, service.clock)
            if started is not None:
                started(service)
            working = asyncio.create_task(service.worker.run())
            log.info("worker.working")
            await _until_asked(service, {working}, ending.asked)
        log.info("service.stopped")


async def prepare(service: Service) -> None:
    """What every start does before work begins: the environment's site, the admin key, work left behind."""
    if service.made_key_file is not None:
        log.info("secret_key.made", file=str(service.made_key_file.absolute()))
    await _environment_site(service)
    await _admin_key(service)
    await settle_if_restored(service.store.restoring, service.clock)
    if service.settings.embedded:
        # The data directory is locked: whoever held these claims, and answered these calls, is dead.
        await service.store.desk.release(EMBEDDED_OWNER)
        await service.store.idempotency.release(service.clock.now())


async def _environment_site(service: Service) -> None:
    """The environment's mailbox becomes the site `default`. Among many processes those without one in their
    environment leave it alone."""
    email = service.settings.email
    if email is None and not service.settings.embedded:
        return
    document = email.document if email else None
    await _or_again(lambda: service.accounts.set_environment(DEFAULT_SITE, document))


async def _or_again(change: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Make a change once more when a process that started at the same moment was quicker."""
    try:
        await change()
    except Conflict:
        await change()


async def _admin_key(service: Service) -> None:
    keyring = Keyring(service.store.keys, service.clock)
    await _or_again(lambda: keyring.adopt(service.settings.api_key))
    if await keyring.has_admin():
        return
    secret = (await keyring.create("first start", None)).secret
    if sys.stderr.isatty():
        print(f"\nAdmin key, shown this once: {secret}\n", file=sys.stderr)  # noqa: T201 - for a person
        return
    path = service.settings.data_dir.absolute() / ADMIN_KEY_FILE
    path.unlink(missing_ok=True)
    write_private(path, secret + "\n")
    log.info("admin_key.made", file=str(path))


async def _until_asked(
    service: Service,
    running: set[asyncio.Task[None]],
    asked: asyncio.Event,
    stop_api: Callable[[], None] = lambda: None,
) -> None:
    """Wait until a signal asks to end, or something that runs ends by itself; then finish what was begun."""
    stopped = asyncio.create_task(asked.wait())
    await asyncio.wait({*running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    log.info("service.stopping")
    stop_api()
    await service.bells.close()
    try:
        async with asyncio.timeout(FINISH_SECONDS):
            await asyncio.gather(*running)
            await service.mailer.close()
    except TimeoutError:
        log.warning("service.cut_short")
        await _hand_over(service)


async def _hand_over(service: Service) -> None:
    """Give back what was cut short, so that others need not wait until its leases end."""
    with suppress(TimeoutError, PostroomError):
        async with asyncio.timeout(HAND_OVER_SECONDS):
            await service.mailer.close()  # what it still sends is not for others to touch
            await service.store.desk.release(service.owner)
