"""Runs the service: API, watchers and workers in one process, until a signal ends it."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog
import uvloop

from postroom.api_server import RunningApi, running_api
from postroom.config import ConfigError, Settings, wrong
from postroom.core.agent import Agent
from postroom.core.errors import PostroomError
from postroom.core.ports import Clock, Steps
from postroom.datadir import held_data_directory, write_private
from postroom.ending import Ending
from postroom.engine.keys import Keyring
from postroom.engine.restored import settle_if_restored
from postroom.logs import configure
from postroom.service import DEFAULT_SITE, EMBEDDED_OWNER, Service, opened

log = structlog.get_logger()

GRACE_SECONDS = 20.0
FINISH_SECONDS = 15.0
"""Of the grace: work under way may finish. The rest is for closing connections and the database."""
ADMIN_KEY_FILE = "admin-key"


def serve(
    settings: Settings,
    agent: Agent | None = None,
    *,
    steps: Steps | None = None,
    clock: Clock | None = None,
    started: Callable[[Service], None] | None = None,
) -> None:
    """Run until SIGINT or SIGTERM. Work under way is finished within 20 s; a second signal ends it at once.

    `agent` stands in for the one that the settings name, `steps` and `clock` for those of production;
    `started` is given the service once it is built.
    Raises `PostroomError` when it cannot start, and `SystemExit` when a fault of our own ended it.
    """
    configure(settings.log_level, settings.log_format)
    for note in settings.notes:
        log.warning("configuration.note", note=note)
    with held_data_directory(settings.data_dir), bound_socket(settings) as listening:
        bound = replace(settings, port=listening.getsockname()[1])
        try:
            uvloop.run(_serve(bound, agent, steps, clock, started, listening))
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
                await _work(service, api, ending.asked)
        log.info("service.stopped")


async def prepare(service: Service) -> None:
    """What every start does before work begins: the environment's site, the admin key, work left behind."""
    if service.made_key_file is not None:
        log.info("secret_key.made", file=str(service.made_key_file.absolute()))
    email = service.settings.email
    await service.accounts.set_environment(DEFAULT_SITE, email.document if email else None)
    await _admin_key(service)
    await settle_if_restored(service.store.restoring, service.clock)
    if service.settings.embedded:
        # The data directory is locked: whoever held these claims, and answered these calls, is dead.
        await service.store.desk.release(EMBEDDED_OWNER)
        await service.store.idempotency.release(service.clock.now())


async def _admin_key(service: Service) -> None:
    keyring = Keyring(service.store.keys, service.clock)
    await keyring.adopt(service.settings.api_key)
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


async def _work(service: Service, api: RunningApi, asked: asyncio.Event) -> None:
    """Run the worker until a signal asks to end, or worker or API fail; then finish what was begun."""
    working = asyncio.create_task(service.worker.run())
    stopped = asyncio.create_task(asked.wait())
    await asyncio.wait({working, stopped, api.ended}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    log.info("service.stopping")
    api.stop()
    await service.bells.close()
    try:
        async with asyncio.timeout(FINISH_SECONDS):
            await asyncio.gather(working, api.ended)
            await service.mailer.close()
    except TimeoutError:
        log.warning("service.cut_short")
