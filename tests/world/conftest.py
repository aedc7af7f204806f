"""The whole service against Dovecot and Postfix. Each test has an address of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.support.served import Served, served
from tests.support.world import World, world
from tests.world.mailbox import Mailbox

__all__ = ["world"]

_numbers = count()

Serve = Callable[..., Served]


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    """An address nobody else uses."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    return f"agent{next(_numbers)}.{worker}@postroom.test"


@pytest.fixture
def ada(world: World, address: str) -> Mailbox:
    """A correspondent with a mail program of her own."""
    return Mailbox(world, f"ada.{address.partition('@')[0]}@example.test", "Ada Example")


@pytest.fixture
def inbox(world: World, address: str) -> Mailbox:
    """The agent's mailbox as a person with another mail program sees it."""
    return Mailbox(world, address, "")


def environment(world: World, address: str) -> dict[str, str]:
    """The six variables, and what the world needs beside them."""
    return {
        "ENABLED_CLIENTS": "email",
        "EMAIL_USER": address,
        "EMAIL_PASSWORD": "pw",
        "EMAIL_IMAP_HOST": "localhost",
        "EMAIL_IMAP_PORT": str(world.imaps),
        "EMAIL_SMTP_HOST": "localhost",
        "EMAIL_SMTP_PORT": str(world.submission),
        "EMAIL_POLL_INTERVAL_SECONDS": "2",
        "POSTROOM_TLS_CA_FILE": str(world.ca_file),
    }


@pytest.fixture
def serve(world: World, address: str, tmp_path: Path) -> Iterator[Serve]:
    """Start the service for the address; further variables by keyword. All are ended afterwards."""
    with ExitStack() as stack:

        def start(*, folder: Path = tmp_path, **extra: str) -> Served:
            variables = {**environment(world, address), **extra}
            return stack.enter_context(served(folder, {k: v for k, v in variables.items() if v}))

        yield start
