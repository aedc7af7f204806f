"""What a person changes by hand, metrics, and what every answer has in common."""

from email import message_from_bytes, policy

import httpx2

from tests.scenario.conftest import in_state, make_sender, post_mail
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.sendmail import listed, send
from tests.support.served import Served, eventually


def test_d7_a_paused_conversation_can_be_resumed(
    admin: httpx2.Client, site_id: str, smtp: ScriptedSmtp
) -> None:
    make_sender(admin, site_id, smtp.port, caps={"threadPer10Min": 1})
    first = post_mail(admin, site_id, message_id=f"<one@{site_id}>")
    in_state(admin, site_id, "answered")
    post_mail(admin, site_id, "Again", message_id=f"<two@{site_id}>", in_reply_to=f"<one@{site_id}>")
    path = f"/api/threads/{first['thread_id']}"
    paused = eventually(lambda: admin.get(path).json()["paused"])
    assert paused == "cap_thread_10_min"
    assert [t["id"] for t in listed(admin, site_id, "threads", paused="true")["items"]] == [
        first["thread_id"]
    ]
    admin.patch(f"/api/sites/{site_id}/settings", json={"caps": {"threadPer10Min": 5}})
    resumed = admin.post(f"{path}/resume")
    assert (resumed.status_code, resumed.json()["paused"]) == (200, None)
    in_state(admin, site_id, "answered", 2)
    again = admin.post(f"{path}/resume")
    assert (again.status_code, again.json()["code"]) == (409, "not_paused")
    assert len(listed(admin, site_id, "events", type="thread.resumed")["items"]) == 1


def test_d8_a_held_message_can_be_tried_again(admin: httpx2.Client, site_id: str, smtp: ScriptedSmtp) -> None:
    make_sender(admin, site_id, smtp.port, requireVerified=True)
    post_mail(admin, site_id, message_id=f"<held@{site_id}>")
    (held,) = in_state(admin, site_id, "held")
    assert held["reason"] == "not_verified"
    retried = admin.post(f"/api/messages/{held['id']}/retry")
    assert (retried.status_code, retried.json()["state"]) == (200, "due")
    (answered,) = in_state(admin, site_id, "answered")
    assert answered["id"] == held["id"]
    again = admin.post(f"/api/messages/{held['id']}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "not_retryable")
    eventually(lambda: smtp.messages)
    sent = message_from_bytes(smtp.messages[-1].data, policy=policy.default)
    assert sent["In-Reply-To"] == f"<held@{site_id}>"


# --- metrics and health ---------------------------------------------------------------------------


def test_metrics_count_by_state_and_name_nobody(service: Served, admin: httpx2.Client, sender: str) -> None:
    send(admin, sender)
    with service.client(None) as nobody:
        answer = nobody.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert any(line.startswith('postroom_messages{state="sent"} ') for line in lines)
    assert any(line.startswith('postroom_submissions{state="sent"} ') for line in lines)
    assert sender not in answer.text
    assert "@" not in answer.text


def test_every_answer_forbids_guessing_framing_and_storing(admin: httpx2.Client, site: str) -> None:
    for path in (f"/api/sites/{site}", "/api/threads/x", "/healthz", "/nowhere"):
        headers = admin.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "no-store" in headers["cache-control"]
        assert "access-control-allow-origin" not in headers


def test_unknown_routes_and_methods_are_problems_too(admin: httpx2.Client) -> None:
    missing = admin.get("/api/nowhere")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = admin.put("/api/sites")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET"
    assert wrong.headers["content-type"] == "application/problem+json"
