"""A watcher whose account another process has taken, while its connection still stands."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from postroom.config import load
from postroom.core.model import AccountState
from postroom.sandbox.server import Sandbox, sandbox
from postroom.service import Service, migrate_all, opened
from tests.support.clock import TestClock
from tests.support.databases import Cluster

SITE, ADDRESS = "acme", "agent@acme.example"


@asynccontextmanager
async def watching(folder: Path, url: str, servers: Sandbox) -> AsyncIterator[Service]:
    """A service that watches one account. Its clock stands still: after the first round there is no other."""
    variables = {
        "POSTROOM_DATABASE_URL": url,
        "POSTROOM_DATA_DIR": str(folder / "data"),
        "POSTROOM_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(servers.ca_file),
    }
    settings = load(variables, folder)
    await migrate_all(settings)
    channel = {
        "email": ADDRESS,
        "incomingServer": servers.host,
        "incomingPort": servers.imap_port,
        "incomingSecurity": "tls",
    }
    clock = TestClock(datetime.now(UTC))
    async with opened(settings, clock=clock) as service:
        await service.accounts.patch(SITE, {"channels": {"email": channel}}, may_create=True)
        await service.accounts.seal(SITE, "email", ADDRESS, servers.password, store=True, may_create=False)
        running = asyncio.create_task(service.watchers.run())
        try:
            yield service
        finally:
            running.cancel()
            await asyncio.wait([running])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - what it waits for is in other processes
            await asyncio.sleep(0.01)


async def received(service: Service) -> list[str]:
    page = await service.store.lists.messages(SITE, {}, None, 50)
    return sorted(message.subject for message in page.items)


def taken_away(url: str) -> None:
    """What another process does when our heartbeat has lapsed."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE holdings SET owner = 'another', token = token + 1")


def letter(subject: str) -> bytes:
    return f"From: ada@example.test\r\nTo: {ADDRESS}\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with sandbox(tmp_path) as running:
        yield running


async def test_b7_a_late_watcher_takes_nothing_reports_nothing_and_hangs_up(
    tmp_path: Path, postgresql: Cluster, servers: Sandbox
) -> None:
    url = postgresql.empty()
    inbox = servers.world.account(ADDRESS)["INBOX"]

    async def watched() -> bool:
        return inbox.watched

    async def hung_up() -> bool:
        return not inbox.watched

    async def took_first() -> bool:
        return await received(service) == ["first"]

    async with watching(tmp_path, url, servers) as service:
        await until(watched)
        servers.world.deliver("ada@example.test", [ADDRESS], letter("first"))
        await until(took_first)
        taken_away(url)
        servers.world.deliver("ada@example.test", [ADDRESS], letter("second"))
        await until(hung_up)
        assert await received(service) == ["first"]
        cursor = await service.store.intake.cursor(SITE, "INBOX")
        assert cursor is not None
        assert cursor.next_uid == 2
        status = await service.store.accounts.status(SITE)
        assert status is not None
        assert (status.state, status.error_code) == (AccountState.WATCHING, "")
