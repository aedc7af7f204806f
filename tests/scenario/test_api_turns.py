"""C: an HTTP agent that answers in its response, or by 202 and a later callback."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from postroom.sandbox.server import Sandbox
from tests.scenario.conftest import (
    channel,
    in_state,
    make_sender,
    pointers,
    post_mail,
    site_client,
    store_token,
    submit,
)
from tests.support.in_thread import running
from tests.support.scripted_http import Received, Scripted, ScriptedHttp, json_answer, scripted_http
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.served import Served, eventually

LATER = Scripted(202)
SECRET = "whsec_" + b64encode(b"a secret of thirty-two bytes....").decode()


@contextmanager
def agent(respond: Callable[[Received], Scripted]) -> Iterator[ScriptedHttp]:
    with running(scripted_http(respond)) as server:
        yield server


def use(admin: httpx2.Client, site: str, server: ScriptedHttp) -> None:
    """Make the server the site's agent."""
    settings = {"agent": {"type": "http", "url": server.url("/agent")}}
    assert admin.patch(f"/api/sites/{site}/settings", json=settings).status_code == 200


def asked(server: ScriptedHttp, number: int = 1) -> dict[str, Any]:
    """The last turn of so many that the agent was given."""
    eventually(lambda: len(server.received) >= number)
    turn: dict[str, Any] = server.received[number - 1].json()["turn"]
    return turn


def waiting(admin: httpx2.Client, turn: dict[str, Any]) -> str:
    """The path of the callback, once the turn waits for it."""
    path = f"/api/turns/{turn['id']}"
    eventually(lambda: admin.get(path).json()["outcome"] == "waiting")
    return f"{path}/answer"


def token_of(turn: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {turn['token']}"}


def last(smtp: ScriptedSmtp) -> EmailMessage:
    eventually(lambda: smtp.messages)
    message = message_from_bytes(smtp.messages[-1].data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).strip()


@pytest.fixture
def stranger(service: Served) -> Iterator[httpx2.Client]:
    """Whoever has no API key."""
    with service.client(None) as client:
        yield client


# --- in the response ------------------------------------------------------------------------------


def test_c_an_answer_in_the_response_is_mailed(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    files = [{"filename": "a.bin", "content_type": "application/x-a", "content": "AAEC"}]
    with agent(lambda request: json_answer({"text": "**Yes**", "attachments": files})) as server:
        use(admin, sender, server)
        post_mail(admin, sender, "Really?", message_id=f"<c1@{sender}>")
        turn = asked(server)
        answer = last(smtp)
    assert turn["message"]["text"].strip() == "Really?"
    assert turn["message"]["sender"] == {"name": "Ann", "address": f"ann@{sender}.example.org"}
    assert (turn["site_id"], turn["account"], turn["history"]) == (sender, f"{sender}@example.com", [])
    assert text_of(answer) == "**Yes**"
    assert [a.get_payload(decode=True) for a in answer.iter_attachments()] == [b"\x00\x01\x02"]


def test_c_the_call_is_signed(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    store_token(admin, sender, "agent", "secret", SECRET)
    with agent(lambda request: Scripted(200, {"content-type": "text/markdown"}, b"signed")) as server:
        use(admin, sender, server)
        post_mail(admin, sender)
        assert text_of(last(smtp)) == "signed"
        (call,) = server.received
    assert Webhook(SECRET).verify(call.body, call.headers)["turn"]["site_id"] == sender


def test_c_a_refusal_is_a_failure_and_can_be_retried(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    answers = [Scripted(400), json_answer({"text": "Now it works"})]
    with agent(lambda request: answers.pop(0)) as server:
        use(admin, sender, server)
        post_mail(admin, sender)
        (failed,) = in_state(admin, sender, "failed")
        assert failed["reason"] == "agent_refused"
        assert smtp.messages == []
        assert admin.post(f"/api/messages/{failed['id']}/retry").status_code == 200
        assert text_of(last(smtp)) == "Now it works"
        in_state(admin, sender, "answered")


# --- by callback ----------------------------------------------------------------------------------


def test_c_a_callback_answers_the_turn_once(
    admin: httpx2.Client, stranger: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    with agent(lambda request: LATER) as server:
        use(admin, sender, server)
        post_mail(admin, sender, message_id=f"<later@{sender}>")
        turn = asked(server)
    assert turn["callback_url"].endswith(f"/api/turns/{turn['id']}/answer")
    path = waiting(admin, turn)
    (due,) = in_state(admin, sender, "due")
    assert due["reason"] == "waiting_for_callback"
    assert smtp.messages == []
    answer = {"text": "At last", "attachments": [{"filename": "x.txt", "content": "aGk="}]}
    taken = stranger.post(path, json=answer, headers=token_of(turn))
    assert (taken.status_code, taken.json()) == (202, {"status": "accepted", "turn_id": turn["id"]})
    mail = last(smtp)
    assert text_of(mail) == "At last"
    assert mail["In-Reply-To"] == f"<later@{sender}>"
    assert [a.get_payload(decode=True) for a in mail.iter_attachments()] == [b"hi"]
    in_state(admin, sender, "answered")
    again = stranger.post(path, json={"text": "Again"}, headers=token_of(turn))
    assert (again.status_code, again.json()["code"]) == (409, "turn_is_over")
    shown = admin.get(f"/api/turns/{turn['id']}").json()
    assert (shown["outcome"], bool(shown["finished_at"])) == ("answered", True)
    assert len(smtp.messages) == 1


def test_c_a_callback_may_say_nothing(
    admin: httpx2.Client, stranger: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    with agent(lambda request: LATER) as server:
        use(admin, sender, server)
        post_mail(admin, sender)
        turn = asked(server)
    path = waiting(admin, turn)
    assert stranger.post(path, json={"nothing": "spam"}, headers=token_of(turn)).status_code == 202
    (message,) = in_state(admin, sender, "no_answer")
    assert message["reason"] == "agent_said_nothing"
    events = admin.get(f"/api/sites/{sender}/events", params={"type": "message.no_answer"}).json()["items"]
    assert [event["data"]["text"] for event in events] == ["spam"]
    assert smtp.messages == []


def test_c_many_callbacks_at_once_send_one_mail(
    admin: httpx2.Client, service: Served, sender: str, smtp: ScriptedSmtp
) -> None:
    with agent(lambda request: LATER) as server:
        use(admin, sender, server)
        post_mail(admin, sender)
        turn = asked(server)
    path = waiting(admin, turn)

    def once(number: int) -> int:
        with service.client(None) as client:
            return client.post(path, json={"text": f"Answer {number}"}, headers=token_of(turn)).status_code

    with ThreadPoolExecutor(6) as pool:
        codes = sorted(pool.map(once, range(6)))
    assert codes == [202, 409, 409, 409, 409, 409]
    in_state(admin, sender, "answered")
    last(smtp)
    assert len(admin.get(f"/api/sites/{sender}/submissions").json()["items"]) == 1


def test_c_d11_only_the_turns_own_token_answers_it(
    admin: httpx2.Client, service: Served, stranger: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    with agent(lambda request: LATER) as server:
        use(admin, sender, server)
        post_mail(admin, sender, message_id=f"<t1@{sender}>")
        post_mail(admin, sender, message_id=f"<t2@{sender}>")
        first, second = asked(server, 1), asked(server, 2)
    path = waiting(admin, first)
    body = {"text": "Forged"}
    assert stranger.post(path, json=body).status_code == 401
    with site_client(service, admin, sender) as own:
        key = {"Authorization": f"Bearer {own.headers['x-api-key']}"}
    unknown = stranger.post("/api/turns/trn_none/answer", json=body, headers=token_of(first))
    forged = f"prt_{first['id']}.{'x' * 32}"
    for headers in (
        token_of(second),
        key,
        {"Authorization": f"Bearer {forged}"},
        {"Authorization": f"Bearer {first['token'][:-1]}"},
        {"Authorization": f"Bearer {first['token']}x"},
    ):
        answer = stranger.post(path, json=body, headers=headers)
        assert answer.status_code == unknown.status_code == 404
        assert answer.text == unknown.text
    assert admin.get(f"/api/turns/{first['id']}").json()["outcome"] == "waiting"
    assert smtp.messages == []


def test_c_d11_a_turns_token_opens_nothing_else(
    admin: httpx2.Client, stranger: httpx2.Client, sender: str
) -> None:
    form = {"site_id": sender, "to": "a@example.com", "subject": "s", "content": "c"}
    upload = {"attachments": ("other.txt", b"other", "text/plain")}
    admin.post("/api/agents/tools/sendEmail", data=form, files=upload)
    (sent,) = admin.get(f"/api/sites/{sender}/messages", params={"direction": "out"}).json()["items"]
    with agent(lambda request: LATER) as server:
        use(admin, sender, server)
        post_mail(admin, sender)
        turn = asked(server)
    waiting(admin, turn)
    for path in (
        f"/api/attachments/{sent['attachments'][0]['id']}",
        "/api/attachments/att_none",
        f"/api/turns/{turn['id']}",
        f"/api/threads/{turn['thread_id']}",
        f"/api/sites/{sender}/messages",
    ):
        assert stranger.get(path, headers=token_of(turn)).status_code == 401, path


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, [""]),
        ({"text": "a", "nothing": "b"}, [""]),
        ({"text": 5}, ["/text"]),
        ({"nothing": ""}, ["/nothing"]),
        ({"text": "a", "attachments": "x"}, ["/attachments"]),
        ({"text": "a", "attachments": [{"filename": "a"}]}, ["/attachments/0/content"]),
        ({"text": "a", "attachments": [{"filename": "a", "content": "?"}]}, ["/attachments/0/content"]),
        (
            {"text": "a", "attachments": [{"filename": "a\r\nb", "content": "YQ=="}]},
            ["/attachments/0/filename"],
        ),
        ({"text": "nul\x00"}, ["/text"]),
    ],
)
def test_c_a_bad_callback_is_told_so_and_the_turn_goes_on_waiting(
    admin: httpx2.Client, stranger: httpx2.Client, sender: str, body: dict[str, Any], where: list[str]
) -> None:
    with agent(lambda request: LATER) as server:
        use(admin, sender, server)
        post_mail(admin, sender)
        turn = asked(server)
    path = waiting(admin, turn)
    answer = stranger.post(path, json=body, headers=token_of(turn))
    assert answer.status_code == 422
    assert pointers(answer) == where
    assert stranger.post(path, content=b"{", headers=token_of(turn)).status_code == 422
    assert stranger.post(path, content=b"x" * (30 << 20), headers=token_of(turn)).status_code == 413
    assert admin.get(f"/api/turns/{turn['id']}").json()["outcome"] == "waiting"
    assert stranger.post(path, json={"text": "good"}, headers=token_of(turn)).status_code == 202


def test_c_turns_of_a_site_that_is_gone_are_unknown(
    admin: httpx2.Client, stranger: httpx2.Client, sender: str
) -> None:
    with agent(lambda request: LATER) as server:
        use(admin, sender, server)
        post_mail(admin, sender)
        turn = asked(server)
    path = waiting(admin, turn)
    assert admin.delete(f"/api/sites/{sender}").status_code == 204
    assert stranger.post(path, json={"text": "late"}, headers=token_of(turn)).status_code == 404


def test_c_a_callback_is_answered_before_the_mail_server_is(
    admin: httpx2.Client, stranger: httpx2.Client, site_id: str
) -> None:
    make_sender(admin, site_id, 1)  # nobody listens there
    with agent(lambda request: LATER) as server:
        use(admin, site_id, server)
        post_mail(admin, site_id)
        turn = asked(server)
    path = waiting(admin, turn)
    assert stranger.post(path, json={"text": "x"}, headers=token_of(turn)).status_code == 202
    (answered,) = in_state(admin, site_id, "answered")
    submission = admin.get(f"/api/submissions/{answered['answered_by']}").json()
    assert submission["status"] == "queued"


# --- attachments ----------------------------------------------------------------------------------


def test_c_the_agent_reads_attachments_by_their_urls_until_the_turn_is_over(
    mail_service: Served, mailboxes: Sandbox
) -> None:
    data = bytes(range(256)) * 400
    message = EmailMessage()
    message["From"], message["To"] = "Ann <ann@example.org>", "files@postroom.test"
    message["Subject"], message["Message-ID"] = "With a file", "<files@example.org>"
    message.set_content("See the file.")
    message.add_attachment(data, maintype="application", subtype="x-report", filename="report.bin")
    account = channel(
        "files",
        email="files@postroom.test",
        incomingServer="localhost",
        incomingPort=mailboxes.imap_port,
        outgoingServer="localhost",
        outgoingPort=mailboxes.smtp_port,
    )
    with (
        mail_service.client() as admin,
        mail_service.client(None) as stranger,
        agent(lambda request: LATER) as server,
    ):
        store_token(admin, "files", "email", "files@postroom.test", mailboxes.password)
        account["agent"] = {"type": "http", "url": server.url("/agent")}
        assert admin.patch("/api/sites/files/settings", json=account).status_code == 200
        watched = ("watching", "polling")
        eventually(lambda: (admin.get("/api/sites/files").json()["account"] or {}).get("state") in watched)
        submit(mailboxes, message)
        turn = asked(server)
        path = waiting(admin, turn)
        (file,) = turn["message"]["attachments"]
        assert (file["filename"], file["content_type"], file["size"]) == (
            "report.bin",
            "application/x-report",
            len(data),
        )
        url = "/api/" + file["url"].partition("/api/")[2]
        got = stranger.get(url, headers=token_of(turn))
        assert (got.status_code, got.content) == (200, data)
        assert stranger.get(url).status_code == 401
        assert admin.get(url).content == data
        answer = {"attachments": [{"filename": "back.bin", "content": b64encode(data).decode()}], "text": ""}
        assert stranger.post(path, json=answer, headers=token_of(turn)).status_code == 202
        assert stranger.get(url, headers=token_of(turn)).status_code == 401
        (sent,) = eventually(
            lambda: admin.get("/api/sites/files/messages", params={"direction": "out"}).json()["items"]
        )
        back = admin.get(f"/api/attachments/{sent['attachments'][0]['id']}").content
        assert back == data
        assert turn["token"] not in mail_service.log_text()
        assert turn["token"] not in json.dumps(admin.get("/api/sites/files/events").json())
