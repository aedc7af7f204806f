"""What the tests of sendEmail say and look at."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx2

from tests.support.scripted_smtp import ScriptedSmtp

SEND = "/api/agents/tools/sendEmail"


def mail(site: str, **changes: Any) -> dict[str, Any]:
    body = {"site_id": site, "to": "customer@example.com", "subject": "Hello", "content": "Message body..."}
    return {**body, **changes}


def parsed(smtp: ScriptedSmtp, index: int = -1) -> EmailMessage:
    message = message_from_bytes(smtp.messages[index].data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").rstrip("\n")


def submissions(admin: httpx2.Client, site: str, **filters: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = admin.get(f"/api/sites/{site}/submissions", params=filters).json()["items"]
    return items


def send(admin: httpx2.Client, site: str, **changes: Any) -> dict[str, Any]:
    body = {"site_id": site, "to": "customer@example.com", "subject": "Hello", "content": "Text", **changes}
    answer = admin.post(SEND, json=body)
    assert answer.status_code in (201, 202), answer.text
    sent: dict[str, Any] = answer.json()
    return sent


def listed(admin: httpx2.Client, site: str, what: str, **params: Any) -> dict[str, Any]:
    answer = admin.get(f"/api/sites/{site}/{what}", params=params)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert set(page) == {"items", "next"}
    return page
