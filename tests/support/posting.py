"""What a mail provider posts, and what came of it."""

from base64 import b64encode
from itertools import count
from typing import Any

import httpx2

from tests.scenario.conftest import (
    DEFAULT_ADDRESS,
    INCOMING_TOKEN,
)

INCOMING = "/email/incoming"
numbers = count()


def post(**changes: Any) -> dict[str, Any]:
    body = {
        "from_address": "ann@example.org",
        "to_address": DEFAULT_ADDRESS,
        "subject": "Re: Question",
        "body": "Plain text body of the email",
        "message_id": f"<post-{next(numbers)}@example.org>",
    }
    return {**body, **changes}


def bearer(token: str = INCOMING_TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(password: str, user: str = "provider") -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def stored(admin: httpx2.Client, message_id: str, site: str = "default") -> list[dict[str, Any]]:
    wanted = {"message_id": message_id, "direction": "in"}
    items: list[dict[str, Any]] = admin.get(f"/api/sites/{site}/messages", params=wanted).json()["items"]
    return items
