"""The service of the demo: `postroom serve` as a process of its own, configured by environment alone."""

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from postroom.sandbox.server import Sandbox

PATIENCE = 15.0
"""Seconds until it watches the mailbox."""
END_SECONDS = 10.0


class DemoFailed(Exception):
    """A stage did not come about; the text says where to look."""


@dataclass(frozen=True, slots=True)
class RunningService:
    """The service: where its API is, an admin key, and its log."""

    url: str
    key: str
    log: Path


@asynccontextmanager
async def running_service(folder: Path, servers: Sandbox, address: str) -> AsyncIterator[RunningService]:
    """Run it for the time of the block; given once it watches the mailbox. Raises `DemoFailed`."""
    log = folder / "serve.log"
    process = await _started(folder, log, environment(folder, servers, address))
    try:
        url = await _ready(process, log)
        yield RunningService(url, _read(folder / "data" / "admin-key").strip(), log)
    except DemoFailed as exc:
        raise DemoFailed(f"{exc}. The end of the service's log:\n{_tail(log)}") from exc
    finally:
        await _ended(process)


def environment(folder: Path, servers: Sandbox, address: str) -> dict[str, str]:
    """The six variables of a mailbox, and what the sandbox needs beside them."""
    ours = ("EMAIL_", "POSTROOM_", "ENABLED_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "ENABLED_CLIENTS": "email",
        "EMAIL_USER": address,
        "EMAIL_PASSWORD": servers.password,
        "EMAIL_IMAP_HOST": servers.host,
        "EMAIL_IMAP_PORT": str(servers.imap_port),
        "EMAIL_SMTP_HOST": servers.host,
        "EMAIL_SMTP_PORT": str(servers.smtp_port),
        "POSTROOM_TLS_CA_FILE": str(servers.ca_file),
        "POSTROOM_DATA_DIR": str(folder / "data"),
        "POSTROOM_PORT": "0",
        "POSTROOM_AGENT": "python:postroom.sandbox.demo_agent:answer",
        "POSTROOM_LOG_FORMAT": "json",
    }


async def _started(folder: Path, log: Path, variables: dict[str, str]) -> asyncio.subprocess.Process:
    with log.open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "postroom", "serve"),
            env=variables,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal is for the demo, which then ends the service in order.
            start_new_session=True,
        )


async def _ended(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _ready(process: asyncio.subprocess.Process, log: Path) -> str:
    """The URL of the API once the mailbox is watched."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not (url := await asyncio.to_thread(_ready_url, log)):
                if process.returncode is not None:
                    raise DemoFailed("postroom serve ended at once")
                await asyncio.sleep(0.05)
            return url
    except TimeoutError as exc:
        raise DemoFailed(f"postroom serve was not ready within {PATIENCE:.0f} s") from exc


def _ready_url(log: Path) -> str:
    url = _url_in(log)
    with suppress(urllib.error.URLError, TimeoutError):
        if url and urllib.request.urlopen(f"{url}/readyz", timeout=2).status == 200:  # noqa: S310 - our own
            return url
    return ""


def _url_in(log: Path) -> str:
    for line in _read(log).splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if entry.get("event") == "api.listening":
                return f"http://{entry['host']}:{entry['port']}"
    return ""


def _tail(log: Path) -> str:
    return _read(log)[-2000:]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
