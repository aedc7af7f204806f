"""One service without a mailbox for all API tests of a worker; each test uses a site of its own."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.served import Served, served

_numbers = count()

INCOMING_TOKEN = "incoming-token-of-the-default-site"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("api")
    with served(folder) as running:
        yield running


@pytest.fixture
def admin(service: Served) -> Iterator[httpx2.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def site_id() -> str:
    return f"site-{next(_numbers)}"


def channel(site_id: str, **changes: Any) -> dict[str, Any]:
    """Settings of an account whose servers do not exist (nothing listens on the ports)."""
    return {
        "channels": {
            "email": {
                "email": f"{site_id}@example.com",
                "incomingServer": "imap.invalid",
                "outgoingServer": "smtp.invalid",
                **changes,
            }
        }
    }


@pytest.fixture
def site(admin: httpx2.Client, site_id: str) -> str:
    """A site that exists."""
    assert admin.patch(f"/api/sites/{site_id}/settings", json=channel(site_id)).status_code == 200
    return site_id


def site_client(service: Served, admin: httpx2.Client, site: str) -> httpx2.Client:
    """A client with a key for that site alone."""
    made = admin.post("/api/keys", json={"site_id": site})
    assert made.status_code == 201
    return service.client(made.json()["key"])
