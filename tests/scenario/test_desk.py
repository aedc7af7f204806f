"""What waits for a person: listed, asked about again, or dropped, by REST and by command."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import in_state, make_sender, post_mail, site_client
from tests.support.commands import postroom
from tests.support.scripted_smtp import CLOSE, ScriptedSmtp
from tests.support.served import Served, eventually


def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture
def held(admin: httpx2.Client, site_id: str, smtp: ScriptedSmtp) -> dict[str, Any]:
    """A message that waits for a person: the site answers only those whom it can verify."""
    make_sender(admin, site_id, smtp.port, requireVerified=True)
    post_mail(admin, site_id)
    (message,) = in_state(admin, site_id, "held")
    return message


def test_d8_a_held_message_can_be_dropped(admin: httpx2.Client, held: dict[str, Any]) -> None:
    dropped = admin.post(f"/api/messages/{held['id']}/drop")
    assert dropped.status_code == 200
    assert (dropped.json()["state"], dropped.json()["reason"]) == ("no_answer", "dropped")
    assert admin.get(f"/api/messages/{held['id']}").json() == dropped.json()
    events = admin.get(f"/api/sites/{held['site_id']}/events", params={"message_id": held["id"]}).json()
    assert events["items"][0]["type"] == "message.dropped"
    for decision in ("drop", "retry"):
        late = admin.post(f"/api/messages/{held['id']}/{decision}")
        assert (late.status_code, late.json()["code"][:4]) == (409, "not_")


def test_d11_another_sites_things_look_as_if_they_did_not_exist(
    admin: httpx2.Client, service: Served, held: dict[str, Any], site: str
) -> None:
    other = f"{site}-other"
    make_sender(admin, other, 1)
    with site_client(service, admin, other) as stranger, service.client(None) as nobody:
        for path in (f"/api/messages/{held['id']}/drop", f"/api/messages/{held['id']}/retry"):
            assert stranger.post(path).status_code == 404
            assert nobody.post(path).status_code == 401
        for decision in ("resend", "close"):
            assert stranger.post(f"/api/submissions/sub_nosuch/{decision}").status_code == 404
    assert admin.get(f"/api/messages/{held['id']}").json()["state"] == "held"


def gone_unknown(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> dict[str, Any]:
    """A submission whose server hung up instead of answering to the bytes."""
    smtp.on("dot", [CLOSE])
    mail = {"site_id": sender, "to": "ann@example.org", "subject": "s", "content": "c"}
    sent = admin.post("/api/agents/tools/sendEmail", json=mail)
    assert (sent.status_code, sent.json()["status"]) == (202, "unknown")
    (known,) = admin.get(f"/api/sites/{sender}/submissions", params={"status": "unknown"}).json()["items"]
    assert known["id"] == sent.json()["submission_id"]
    found: dict[str, Any] = known
    return found


def decide(client: httpx2.Client, submission: dict[str, Any], decision: str) -> httpx2.Response:
    return client.post(f"/api/submissions/{submission['id']}/{decision}")


def test_d9_an_unknown_submission_is_resent_when_its_owner_says_so(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    unknown = gone_unknown(admin, sender, smtp)
    assert decide(admin, unknown, "resend").json()["status"] in ("queued", "transmitting", "sent")
    eventually(lambda: smtp.messages)
    (received,) = smtp.messages
    assert f"Message-ID: <{unknown['message_id']}>".encode() in received.data
    eventually(lambda: admin.get(f"/api/submissions/{unknown['id']}").json()["status"] == "sent")
    for decision, code in (("resend", "not_resendable"), ("close", "not_open")):
        refused = decide(admin, unknown, decision)
        assert (refused.status_code, refused.json()["code"]) == (409, code)


def test_d9_an_unknown_submission_is_closed_when_its_owner_says_so(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    unknown = gone_unknown(admin, sender, smtp)
    closed = decide(admin, unknown, "close")
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")
    listed = admin.get(f"/api/sites/{sender}/submissions", params={"status": "closed"}).json()["items"]
    assert listed == [closed.json()]
    assert decide(admin, unknown, "close").status_code == 409
    assert smtp.messages == []


# --- by command


def sweep(admin: httpx2.Client, site_id: str) -> None:
    """Bring the service's next sweep forward, as a changed site does; else it comes within half a minute."""
    assert admin.patch(f"/api/sites/{site_id}/settings", json={"quote": True}).status_code == 200


@pytest.fixture
def folder(service: Served) -> Path:
    """Where the commands find the data of the running service."""
    return service.data.parent


def test_the_commands_list_and_decide_about_messages(
    folder: Path, admin: httpx2.Client, held: dict[str, Any]
) -> None:
    listed = postroom(folder, "messages", held["site_id"], "--state", "held")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert held["id"] in listed.stdout
    assert "not_verified" in listed.stdout
    dropped = postroom(folder, "drop", held["id"])
    assert (dropped.returncode, dropped.stdout) == (0, f"{held['id']} is no_answer now (dropped).\n")
    again = postroom(folder, "retry", held["id"])
    assert (again.returncode, again.stderr) == (1, "the message is neither held nor failed\n")
    as_json = postroom(folder, "messages", held["site_id"], "--json")
    assert [item["reason"] for item in document(as_json.stdout)["items"]] == ["dropped"]
    assert "No such messages." in postroom(folder, "messages", held["site_id"], "--state", "failed").stdout


def test_d8_retry_by_command_is_taken_up_by_the_running_service(
    folder: Path, admin: httpx2.Client, held: dict[str, Any], smtp: ScriptedSmtp
) -> None:
    retried = document(postroom(folder, "retry", held["id"], "--json").stdout)
    assert (retried["state"], retried["id"]) == ("due", held["id"])
    sweep(admin, held["site_id"])
    in_state(admin, held["site_id"], "answered")


def test_the_commands_list_and_decide_about_submissions(
    folder: Path, admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    unknown = gone_unknown(admin, sender, smtp)
    assert unknown["id"] in postroom(folder, "submissions", sender, "--status", "unknown").stdout
    resent = document(postroom(folder, "resend", unknown["id"], "--json").stdout)
    assert resent["status"] in ("queued", "transmitting", "sent")
    sweep(admin, sender)
    eventually(lambda: smtp.messages)
    assert postroom(folder, "close", unknown["id"]).returncode == 1
    other = gone_unknown(admin, sender, smtp)
    assert postroom(folder, "close", other["id"]).stdout.startswith(f"{other['id']} is closed now")
    assert "No such submissions." in postroom(folder, "submissions", sender, "--status", "unknown").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["drop", "msg_nosuch"], "there is no such message"),
        (["close", "sub_nosuch"], "there is no such submission"),
        (["submissions", "default", "--status", "lost"], "/status: must be one of queued, "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_exist_is_one_line_and_exit_code_1(
    folder: Path, arguments: list[str], told: str
) -> None:
    ended = postroom(folder, *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(told)
