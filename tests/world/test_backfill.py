"""`postroom backfill` beside a running service, on Dovecot."""

import imaplib
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

from tests.support.commands import postroom
from tests.support.world import World
from tests.world.conftest import Serve, environment
from tests.world.mailbox import Mailbox, text_of

WORDS = "python:tests.world.bot:words"


def put(mailbox: Mailbox, folder: str, mail: EmailMessage, days_ago: float) -> EmailMessage:
    """It lies there, received so long ago."""
    moment = imaplib.Time2Internaldate(datetime.now(UTC) - timedelta(days=days_ago))
    with mailbox.imap() as imap:
        imap.create(folder)
        assert imap.append(folder, "(\\Seen)", moment, mail.as_bytes())[0] == "OK"
    return mail


def test_history_joins_its_conversations_while_the_service_answers(
    serve: Serve, ada: Mailbox, inbox: Mailbox, address: str, world: World, tmp_path: Path
) -> None:
    offer = put(inbox, "Sent", inbox.write(ada.address, "Offer", "five words of an offer"), 80)
    price = put(inbox, "INBOX", ada.reply(offer, "how much?", address), 79.9)
    ten = put(inbox, "Sent", inbox.reply(price, "ten", ada.address), 79.8)
    put(inbox, "INBOX", ada.write(address, "Too old", "x"), 100)
    service = serve(POSTROOM_AGENT=WORDS)
    variables = environment(world, address)
    done = postroom(tmp_path, "backfill", "--days", "90", variables=variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 messages were read, 0 of the last 90 days were there.\n"
    again = postroom(tmp_path, "backfill", "--days", "90", variables=variables)
    assert again.stdout == "0 messages were read, 3 of the last 90 days were there.\n"
    answer = ada.reply_to(ada.send(ada.reply(ten, "I take it", address)))
    assert text_of(answer).strip() == "3 words; history 3"
    with service.client() as client:
        threads = client.get("/api/sites/default/threads").json()["items"]
        states = client.get("/api/sites/default/messages", params={"direction": "in"}).json()["items"]
    assert [(thread["subject"], thread["messages"]) for thread in threads] == [("Offer", 5)]
    assert [(m["state"], m["reason"]) for m in states] == [("answered", None), ("no_answer", "history")]
    assert len(ada.mails()) == 1
