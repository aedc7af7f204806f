"""B3, B8, B9: attachments both ways, and mail that comes by webhook."""

import secrets

from tests.support.served import eventually
from tests.support.world import World
from tests.world.conftest import Serve
from tests.world.mailbox import Mailbox, text_of

TOKEN = "the-token-of-the-webhook"
WORDS = "python:tests.world.bot:words"


def test_b8_attachments_come_and_go_byte_for_byte(serve: Serve, ada: Mailbox, address: str) -> None:
    service = serve(POSTROOM_AGENT="python:tests.world.bot:echo_files")
    files = {
        "data.bin": secrets.token_bytes(70_000),
        "leer.txt": b"",
        "grüße – 世界.pdf": b"%PDF\r\n\x00\n.\r\n",
    }
    mail = ada.write(address, "Files", "see attached")
    for name, content in files.items():
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    ada.send(mail)
    answer = ada.reply_to(mail)
    returned = {part.get_filename(): part.get_payload(decode=True) for part in answer.iter_attachments()}
    assert returned == files
    with service.client() as client:
        items = client.get("/api/sites/default/messages", params={"direction": "in"}).json()["items"]
        for info in items[0]["attachments"]:
            assert client.get(f"/api/attachments/{info['id']}").content == files[info["filename"]]


def post(serve: Serve, address: str, ada: Mailbox, **extra: str) -> dict[str, str]:
    return {
        "from_address": f"{ada.name} <{ada.address}>",
        "to_address": address,
        "subject": "By webhook",
        "body": "Plain text body of the email",
        **extra,
    }


def test_b3_mail_by_webhook_is_answered_without_any_imap(serve: Serve, ada: Mailbox, address: str) -> None:
    service = serve(EMAIL_IMAP_HOST="", POSTROOM_INCOMING_TOKEN=TOKEN, POSTROOM_AGENT=WORDS)
    body = post(serve, address, ada, message_id="<one@example.test>", references="<zero@example.test>")
    with service.client(None) as client:
        answer = client.post("/email/incoming", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "accepted"
    received = eventually(ada.mails)[0]
    assert received["In-Reply-To"] == "<one@example.test>"
    assert str(received["References"]).split() == ["<zero@example.test>", "<one@example.test>"]
    assert text_of(received).strip() == "6 words; history 0"


def test_b9_the_same_mail_by_polling_and_by_webhook_is_one(
    serve: Serve, ada: Mailbox, address: str, world: World
) -> None:
    service = serve(POSTROOM_INCOMING_TOKEN=TOKEN, POSTROOM_AGENT=WORDS)
    mail = ada.send(ada.write(address, "Both ways", "Plain text body of the email"))
    answer = ada.reply_to(mail)
    body = post(serve, address, ada, subject="Both ways", message_id=str(mail["Message-ID"]))
    with service.client(None) as client:
        again = client.post("/email/incoming", json=body, auth=("any", TOKEN))
    assert again.status_code == 202
    assert again.json()["status"] == "duplicate"
    other = ada.send(ada.write(address, "Another", "x"))
    ada.reply_to(other)
    assert len(ada.mails()) == 2
    assert answer["In-Reply-To"] == mail["Message-ID"]


def test_b9_the_same_mail_by_webhook_first_is_one(serve: Serve, ada: Mailbox, address: str) -> None:
    service = serve(POSTROOM_INCOMING_TOKEN=TOKEN, POSTROOM_AGENT=WORDS)
    mail = ada.write(address, "Webhook first", "Plain text body of the email")
    body = post(serve, address, ada, subject="Webhook first", message_id=str(mail["Message-ID"]))
    with service.client(None) as client:
        assert client.post("/email/incoming", json=body, auth=("any", TOKEN)).json()["status"] == "accepted"
    ada.reply_to(mail)
    ada.send(mail)
    other = ada.send(ada.write(address, "Another", "x"))
    ada.reply_to(other)
    assert len(ada.mails()) == 2
