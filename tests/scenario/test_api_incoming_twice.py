"""B9: mail by polling and by webhook is one."""

from collections.abc import Iterator
from email.message import EmailMessage

import httpx2
import pytest

from postroom.sandbox.server import Sandbox
from tests.scenario.conftest import (
    in_state,
    submit,
)
from tests.support.posting import INCOMING, bearer, post, stored
from tests.support.served import Served, eventually


@pytest.fixture
def provider(service: Served) -> Iterator[httpx2.Client]:
    """A mail provider: no API key."""
    with service.client(None) as client:
        yield client


def mail(message_id: str, sender: str = "ann@example.org") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = sender, "both@postroom.test"
    message["Subject"], message["Message-ID"] = "By both ways", message_id
    message.set_content("The same words.\n")
    return message


@pytest.mark.parametrize("first", ["mailbox", "webhook"])
def test_b9_the_same_message_by_polling_and_by_webhook_is_one(
    mail_service: Served, mailboxes: Sandbox, first: str
) -> None:
    sender, message_id = f"{first}@example.org", f"<both-{first}@example.org>"
    body = post(
        from_address=sender,
        to_address="both@postroom.test",
        subject="By both ways",
        body="The same words.",
        message_id=message_id,
    )
    with mail_service.client() as admin, mail_service.client(None) as provider:
        if first == "mailbox":
            submit(mailboxes, mail(message_id, sender))
            eventually(lambda: stored(admin, message_id))
            assert provider.post(INCOMING, json=body, headers=bearer()).json()["status"] == "duplicate"
        else:
            assert provider.post(INCOMING, json=body, headers=bearer()).json()["status"] == "accepted"
            submit(mailboxes, mail(message_id, sender))
            after = f"<after-{first}@example.org>"
            submit(mailboxes, mail(after, "later@example.org"))
            eventually(lambda: stored(admin, after))  # the mailbox was read past the first
        (message,) = stored(admin, message_id)
        assert message["source"] == first
        answered = in_state(admin, "default", "answered")
        eventually(lambda: stored(admin, message_id)[0]["state"] == "answered")
        assert len([m for m in answered if m["message_id"] == message_id.strip("<>")]) <= 1
        sent = admin.get("/api/sites/default/submissions", params={"limit": 200}).json()["items"]
        assert len([s for s in sent if sender in s["recipients"]]) == 1
