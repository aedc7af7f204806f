"""The API on its socket: what it is made with, and how it starts and stops beside the workers."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import structlog
import uvicorn

from postroom.api import ApiParts, create_app
from postroom.api.loop_lag import LoopLag
from postroom.core.model import AccountState
from postroom.engine.incoming_tokens import IncomingTokens
from postroom.engine.keys import Keyring
from postroom.service import DEFAULT_SITE, Service

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: ours decides when the API stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class RunningApi:
    """The API while it serves. `ended` is its task: done when it has stopped, by itself or asked."""

    def __init__(self, server: uvicorn.Server, listening: socket.socket) -> None:
        self._server = server
        self.ended = asyncio.create_task(server.serve(sockets=[listening]))

    async def listens(self) -> None:
        """Return when it takes calls, or has failed to."""
        while not self._server.started and not self.ended.done():  # noqa: ASYNC110 - it says so by a flag
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        """Take no new calls; those under way are answered."""
        self._server.should_exit = True


@asynccontextmanager
async def running_api(
    service: Service, listening: socket.socket, patience: float
) -> AsyncIterator[RunningApi]:
    """Serve the API on the socket for the time of the block. `patience`: seconds that calls under way are
    waited for once it was asked to stop."""
    parts = api_parts(service)
    config = uvicorn.Config(
        create_app(parts),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=int(patience),
        h11_max_incomplete_event_size=65_536,
    )
    api = RunningApi(_Server(config), listening)
    lag = asyncio.create_task(parts.lag.run())
    await api.listens()
    host, port = listening.getsockname()[:2]
    log.info("api.listening", host=host, port=port)
    try:
        yield api
    finally:
        lag.cancel()
        api.stop()
        api.ended.cancel()
        await asyncio.wait({api.ended})


def api_parts(service: Service) -> ApiParts:
    """What the API is made with."""
    return ApiParts(
        store=service.store,
        blobs=service.blobs,
        clock=service.clock,
        keyring=Keyring(service.store.keys, service.clock),
        idempotent=service.idempotent,
        accounts=service.accounts,
        mailer=service.mailer,
        answerer=service.answerer,
        incoming=service.incoming,
        incoming_tokens=IncomingTokens(service.store.tokens, service.vault, service.credentials),
        watchers=service.watchers,
        ready=lambda: _not_ready(service),
        ring=service.bells.ring,
        lag=LoopLag(),
    )


async def _not_ready(service: Service) -> str:
    if service.settings.email is None or service.watchers.settled(DEFAULT_SITE):
        return ""
    if not service.settings.embedded:  # another process may watch it
        known = await service.store.accounts.status(DEFAULT_SITE)
        if known is not None and known.state is not AccountState.CONNECTING:
            return ""
    return "the environment's mailbox has neither been read nor failed yet"
