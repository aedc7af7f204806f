"""A4: sending as a site, from the request to the bytes that the mail server took."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import (
    INCOMING_TOKEN,
    channel,
    make_sender,
    pointers,
    post_mail,
    site_client,
)
from tests.support.scripted_smtp import CLOSE, HANG, Drip, ScriptedSmtp
from tests.support.served import ADMIN_KEY, Served, eventually

SEND = "/api/agents/tools/sendEmail"
_keys = count()


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


# --- what is sent -------------------------------------------------------------------------------


def test_a4_a_mail_goes_out_and_the_answer_says_so(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    answer = admin.post(SEND, json=mail(sender))
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {
        "success",
        "status",
        "message_id",
        "submission_id",
        "thread_id",
        "thread_key",
        "recipients",
    }
    assert (body["success"], body["status"]) == (True, "sent")
    assert body["recipients"] == {
        "customer@example.com": {"status": "accepted", "code": 250, "text": "2.0.0 queued"}
    }
    sent = parsed(smtp)
    assert smtp.messages[-1].recipients == ("customer@example.com",)
    assert sent["Message-ID"] == f"<{body['message_id']}>"
    assert sent["Subject"] == "Hello"
    assert sent["From"] == f"Desk <{sender}@example.com>"
    assert sent["Auto-Submitted"] is None
    assert text_of(sent) == "Message body..."
    stored = admin.get(f"/api/submissions/{body['submission_id']}").json()
    assert (stored["status"], stored["thread_id"]) == ("sent", body["thread_id"])
    assert admin.get(f"/api/threads/{body['thread_id']}").json()["thread_key"] == body["message_id"]


def test_a4_a_site_key_sends_for_its_own_site(
    service: Served, admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    with site_client(service, admin, sender) as mine:
        assert mine.post(SEND, json=mail(sender)).status_code == 201
    assert len(smtp.messages) == 1


def test_a4_lists_copies_and_blind_copies_reach_the_envelope(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    body = mail(
        sender,
        to=["Ann Example <ann@example.com>", "bob@example.com"],
        cc="cara@example.com",
        bcc=["dora@example.com"],
        reply_to="desk@example.org",
    )
    answer = admin.post(SEND, json=body)
    everyone = ["ann@example.com", "bob@example.com", "cara@example.com", "dora@example.com"]
    assert list(answer.json()["recipients"]) == everyone
    assert list(smtp.messages[-1].recipients) == everyone
    sent = parsed(smtp)
    assert sent["To"] == "Ann Example <ann@example.com>, bob@example.com"
    assert sent["Cc"] == "cara@example.com"
    assert sent["Reply-To"] == "desk@example.org"
    assert b"dora" not in smtp.messages[-1].data


def test_a4_email_and_message_are_other_names_for_to_and_content(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    body = {"site_id": sender, "email": "a@example.com", "subject": "Hi", "message": "Other names"}
    assert admin.post(SEND, json=body).status_code == 201
    assert smtp.messages[-1].recipients == ("a@example.com",)
    assert text_of(parsed(smtp)) == "Other names"


@pytest.mark.parametrize("with_name", [False, True])
def test_a4_from_may_be_an_alias_with_or_without_a_name(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, with_name: bool
) -> None:
    alias = f"{sender}-sales@example.com"
    wanted = f"Sales <{alias}>" if with_name else alias
    assert admin.post(SEND, json=mail(sender, **{"from": wanted})).status_code == 201
    assert parsed(smtp)["From"] == f"{'Sales' if with_name else 'Desk'} <{alias}>"
    assert smtp.messages[-1].sender == f"{sender}@example.com"


@pytest.mark.parametrize(
    "wanted",
    ["ceo@example.com", "Desk <ceo@example.com>", "{site}@example.com <ceo@example.com>", "a@b, c@d", "x"],
)
def test_a4_any_other_from_is_refused(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, wanted: str
) -> None:
    answer = admin.post(SEND, json=mail(sender, **{"from": wanted.replace("{site}", sender)}))
    assert answer.status_code == 422
    assert pointers(answer) == ["/from"]
    assert smtp.messages == []
    assert submissions(admin, sender) == []


def test_a4_markdown_is_the_default_and_reads_as_html_too(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    admin.post(SEND, json=mail(sender, content="Some **bold** words"))
    sent = parsed(smtp)
    html = sent.get_body(("html",))
    assert html is not None
    assert "<strong" in html.get_content()
    assert text_of(sent) == "Some **bold** words"


def test_a4_plain_text_stays_plain(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    admin.post(SEND, json=mail(sender, content="*as it is*", content_type="text/plain"))
    assert parsed(smtp).get_content_type() == "text/plain"
    assert text_of(parsed(smtp)) == "*as it is*"


def test_a4_html_is_cleaned_and_gets_a_text(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    content = "<p>Hello <b>you</b></p><script>alert(1)</script>"
    admin.post(SEND, json=mail(sender, content=content, content_type="text/html"))
    sent = parsed(smtp)
    html = sent.get_body(("html",))
    assert html is not None
    assert "<b>you</b>" in html.get_content()
    assert "script" not in sent.as_string()
    assert "Hello" in text_of(sent)


@pytest.mark.parametrize("shape", ["json", "form"])
def test_a4_files_arrive_bit_for_bit(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, shape: str
) -> None:
    data = bytes(range(256)) * 300
    if shape == "json":
        encoded = b64encode(data).decode()
        files = [{"filename": "räport.bin", "content_type": "application/x-report", "content": encoded}]
        answer = admin.post(SEND, json=mail(sender, attachments=files))
    else:
        form = mail(sender) | {"to": ["a@example.com", "b@example.com"]}
        upload = {"attachments": ("räport.bin", data, "application/x-report")}
        answer = admin.post(SEND, data=form, files=upload)
    assert answer.status_code == 201, answer.text
    (attached,) = parsed(smtp).iter_attachments()
    assert attached.get_payload(decode=True) == data
    assert attached.get_filename() == "räport.bin"
    assert attached.get_content_type() == "application/x-report"
    if shape == "form":
        assert smtp.messages[-1].recipients == ("a@example.com", "b@example.com")


# --- conversations ------------------------------------------------------------------------------


def test_a4_thread_id_makes_a_threaded_reply(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    came = post_mail(admin, sender, message_id="<question@example.org>", references="<root@example.org>")
    eventually(lambda: smtp.messages)  # the default agent acknowledges it first
    answer = admin.post(SEND, json=mail(sender, thread_id=came["thread_id"])).json()
    sent = parsed(smtp)
    assert answer["thread_id"] == came["thread_id"]
    assert answer["thread_key"] == "root@example.org"
    acknowledged = parsed(smtp, 0)["Message-ID"]
    assert sent["In-Reply-To"] == acknowledged
    assert str(sent["References"]).split() == ["<root@example.org>", "<question@example.org>", acknowledged]


@pytest.mark.parametrize("written", ["<q2@example.org>", "q2@example.org"])
def test_a4_in_reply_to_makes_a_threaded_reply(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, written: str
) -> None:
    came = post_mail(admin, sender, message_id="<q2@example.org>")
    eventually(lambda: smtp.messages)
    answer = admin.post(SEND, json=mail(sender, in_reply_to=written)).json()
    assert answer["thread_id"] == came["thread_id"]
    assert parsed(smtp)["In-Reply-To"] == "<q2@example.org>"


def test_a4_d11_another_sites_conversation_looks_like_none(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    other = f"{sender}-b"
    make_sender(admin, other, smtp.port)
    foreign = admin.post(SEND, json=mail(other)).json()
    sent = len(smtp.messages)
    for name, value, missing in [
        ("thread_id", foreign["thread_id"], "thr_0"),
        ("in_reply_to", foreign["message_id"], "nothing@example.com"),
    ]:
        refused = admin.post(SEND, json=mail(sender, **{name: value}))
        unknown = admin.post(SEND, json=mail(sender, **{name: missing}))
        assert refused.status_code == 422
        assert pointers(refused) == [f"/{name}"]
        assert refused.json() == unknown.json()
    assert len(smtp.messages) == sent


@pytest.mark.parametrize("written", ["", "<>", " "])
def test_a4_no_message_without_an_id_is_answered_by_chance(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, written: str
) -> None:
    post_mail(admin, sender)  # has no Message-ID
    answer = admin.post(SEND, json=mail(sender, in_reply_to=written))
    assert answer.status_code == 422
    assert pointers(answer) == ["/in_reply_to"]


# --- later, and never ---------------------------------------------------------------------------


def test_a4_send_at_waits_and_can_be_cancelled(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    when = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    answer = admin.post(SEND, json=mail(sender, send_at=when.isoformat()))
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    path = f"/api/submissions/{answer.json()['submission_id']}"
    assert admin.get(path).json()["due_at"] == when.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert [s["id"] for s in submissions(admin, sender, status="queued")] == [answer.json()["submission_id"]]
    cancelled = admin.delete(path)
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"
    again = admin.delete(path)
    assert (again.status_code, again.json()["code"]) == (409, "not_queued")
    assert submissions(admin, sender, status="queued") == []
    events = admin.get(f"/api/sites/{sender}/events", params={"type": "submission.cancelled"}).json()
    assert len(events["items"]) == 1
    assert smtp.messages == []


def test_a4_send_at_in_an_instant_goes_out_by_itself(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    when = datetime.now(UTC) + timedelta(seconds=1)
    assert admin.post(SEND, json=mail(sender, send_at=when.isoformat())).status_code == 202
    eventually(lambda: smtp.messages)
    assert datetime.now(UTC) >= when


@pytest.mark.parametrize("when", ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a4_send_at_in_the_past_means_now(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, when: str
) -> None:
    assert admin.post(SEND, json=mail(sender, send_at=when)).status_code == 201
    assert len(smtp.messages) == 1


def test_a4_what_was_sent_cannot_be_cancelled(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    sent = admin.post(SEND, json=mail(sender)).json()
    refused = admin.delete(f"/api/submissions/{sent['submission_id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_queued")
    assert admin.delete("/api/submissions/sub_none").status_code == 404


# --- what servers say ---------------------------------------------------------------------------


def test_a4_one_refused_of_three_is_told_per_recipient(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    smtp.on("rcpt", ["250 ok", "550 5.1.1 nobody here", "250 ok"])
    answer = admin.post(SEND, json=mail(sender, to=["a@example.com", "b@example.com", "c@example.com"]))
    assert answer.status_code == 201
    recipients = answer.json()["recipients"]
    assert recipients["b@example.com"] == {"status": "rejected", "code": 550, "text": "5.1.1 nobody here"}
    assert recipients["a@example.com"]["status"] == recipients["c@example.com"]["status"] == "accepted"


def test_a4_all_refused_is_502_and_rejected(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    smtp.on("rcpt", "550 5.1.1 nobody here")
    answer = admin.post(SEND, json=mail(sender))
    assert answer.status_code == 502
    assert (answer.json()["success"], answer.json()["status"]) == (False, "rejected")
    assert answer.json()["recipients"]["customer@example.com"]["code"] == 550
    assert [s["status"] for s in submissions(admin, sender)] == ["rejected"]


@pytest.mark.parametrize("phase", ["dot", "data"])
def test_a4_a_refusal_for_now_is_queued(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, phase: str
) -> None:
    smtp.on(phase, "451 4.7.1 try later")
    answer = admin.post(SEND, json=mail(sender))
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def test_a4_a_server_that_is_down_is_queued(admin: httpx2.Client, site_id: str) -> None:
    make_sender(admin, site_id, 1)
    answer = admin.post(SEND, json=mail(site_id))
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    (stored,) = submissions(admin, site_id)
    assert (stored["status"], stored["reason"], stored["attempts"]) == ("queued", "connect_failed", 1)


def test_a4_a_site_without_its_password_is_queued(admin: httpx2.Client, site: str) -> None:
    answer = admin.post(SEND, json=mail(site))
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def test_a4_no_reply_after_the_last_byte_is_unknown(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    smtp.on("dot", CLOSE)
    answer = admin.post(SEND, json=mail(sender))
    assert (answer.status_code, answer.json()["status"]) == (202, "unknown")
    assert answer.json()["recipients"]["customer@example.com"]["status"] == "unknown"


def test_a4_a_slow_server_is_waited_for_ten_seconds(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    smtp.on("mail", HANG)
    began = datetime.now(UTC)
    answer = admin.post(SEND, json=mail(sender))
    waited = datetime.now(UTC) - began
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert timedelta(seconds=9) < waited < timedelta(seconds=13)


def test_a4_a_site_that_cannot_send_is_told_so(admin: httpx2.Client, site_id: str) -> None:
    admin.patch(f"/api/sites/{site_id}/settings", json=channel(site_id, outgoingServer=None))
    answer = admin.post(SEND, json=mail(site_id))
    assert (answer.status_code, answer.json()["code"]) == (409, "no_outgoing_server")


# --- once ---------------------------------------------------------------------------------------


def test_a4_a_replayed_key_gives_the_same_answer_and_sends_nothing(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    first = admin.post(SEND, json=mail(sender), headers=key)
    second = admin.post(SEND, json=mail(sender), headers=key)
    assert first.status_code == second.status_code == 201
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json() == second.json()
    assert len(smtp.messages) == 1


def test_a4_a_replay_repeats_refusals_of_the_server_too(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    smtp.on("rcpt", ["550 no"])
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    answers = [admin.post(SEND, json=mail(sender), headers=key) for _ in range(2)]
    assert [a.status_code for a in answers] == [502, 502]
    assert answers[0].json() == answers[1].json()
    assert smtp.messages == []


def test_a4_a_replay_of_a_later_mail_stays_one(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    when = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    first = admin.post(SEND, json=mail(sender, send_at=when), headers=key)
    eventually(lambda: smtp.messages)
    second = admin.post(SEND, json=mail(sender, send_at=when), headers=key)
    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert len(smtp.messages) == 1


def test_a4_the_same_request_in_another_shape_is_the_same(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    admin.post(SEND, json=mail(sender), headers=key)
    raw = json.dumps(dict(reversed(mail(sender, to=["customer@example.com"]).items())), indent=3)
    again = admin.post(SEND, content=raw, headers=key | {"content-type": "application/json"})
    assert (again.status_code, len(smtp.messages)) == (201, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"content": "Another body"},
        {"to": "other@example.com"},
        {"bcc": ["other@example.com"]},
        {"content_type": "text/plain"},
        {"attachments": [{"filename": "a", "content": "YQ=="}]},
    ],
)
def test_a4_a_used_key_with_another_request_is_refused(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, change: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    admin.post(SEND, json=mail(sender), headers=key)
    other = admin.post(SEND, json=mail(sender, **change), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(smtp.messages) == 1


def test_a4_a_key_counts_for_one_site(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    other = f"{sender}-b"
    make_sender(admin, other, smtp.port)
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    first = admin.post(SEND, json=mail(sender), headers=key).json()
    second = admin.post(SEND, json=mail(other), headers=key).json()
    assert first["submission_id"] != second["submission_id"]
    assert len(smtp.messages) == 2


def test_a4_while_the_first_call_runs_its_key_is_taken(
    admin: httpx2.Client, service: Served, sender: str, smtp: ScriptedSmtp
) -> None:
    smtp.on("mail", Drip("250 ok", pace=0.2))
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    with service.client() as other, ThreadPoolExecutor(1) as pool:
        first = pool.submit(other.post, SEND, json=mail(sender), headers=key)
        eventually(lambda: smtp.heard("MAIL"))
        second = admin.post(SEND, json=mail(sender), headers=key)
        assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_progress")
        assert first.result().status_code == 201


def test_a4_a_hundred_calls_with_one_key_send_one_mail(
    service: Served, sender: str, smtp: ScriptedSmtp
) -> None:
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    start = threading.Barrier(10)

    def ten() -> list[int]:
        with service.client() as client:
            start.wait(20)
            return [client.post(SEND, json=mail(sender), headers=key).status_code for _ in range(10)]

    with ThreadPoolExecutor(10) as pool:
        codes = [code for one in [pool.submit(ten) for _ in range(10)] for code in one.result()]
    assert set(codes) <= {201, 409}
    assert 201 in codes
    assert len(smtp.messages) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü", "tab\tin"])
def test_a4_a_key_is_visible_ascii(admin: httpx2.Client, sender: str, key: str) -> None:
    answer = admin.post(SEND, json=mail(sender), headers={b"Idempotency-Key": key.encode()})
    assert answer.status_code == 422
    assert pointers(answer) == ["/Idempotency-Key"]
    assert submissions(admin, sender) == []


def test_a4_a_refused_call_leaves_its_key_free(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    key = {"Idempotency-Key": f"key-{next(_keys)}"}
    assert admin.post(SEND, json=mail(sender, to="nobody"), headers=key).status_code == 422
    assert admin.post(SEND, json=mail(sender), headers=key).status_code == 201


# --- bad input ----------------------------------------------------------------------------------

LONG = "x" * 1000


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"site_id": 7}, ["/site_id"]),
        ({"site_id": None}, ["/site_id"]),
        ({"to": None}, ["/to"]),
        ({"to": 5}, ["/to"]),
        ({"to": []}, ["/to"]),
        ({"to": ""}, ["/to/0"]),
        ({"to": [""]}, ["/to/0"]),
        ({"to": ["a@example.com", 3]}, ["/to/1"]),
        ({"to": "nobody"}, ["/to"]),
        ({"to": "a@example.com, b@example.com"}, ["/to"]),
        ({"to": ["a@example.com", "nobody"]}, ["/to/1"]),
        ({"to": "a@example.com\r\nBcc: b@example.com"}, ["/to/0"]),
        ({"to": "a\x00@example.com"}, ["/to"]),
        ({"to": "ceo@example.com <x@example.org>"}, ["/to"]),
        ({"to": LONG}, ["/to/0"]),
        ({"to": ["a@example.com"] * 101}, ["/to"]),
        ({"cc": [f"{n}@example.com" for n in range(60)], "bcc": [f"b{n}@x.org" for n in range(60)]}, ["/to"]),
        ({"cc": "a@example.com\nX: y"}, ["/cc/0"]),
        ({"bcc": ["x y"]}, ["/bcc"]),
        ({"reply_to": "nobody"}, ["/reply_to"]),
        ({"from": 3}, ["/from"]),
        ({"subject": None}, ["/subject"]),
        ({"subject": ["Hello"]}, ["/subject"]),
        ({"subject": "a\r\nBcc: evil@example.com"}, ["/subject"]),
        ({"subject": "a\u2028b"}, ["/subject"]),
        ({"subject": "x" * 901}, ["/subject"]),
        ({"subject": LONG}, ["/subject"]),
        ({"content": None}, ["/content"]),
        ({"content": ""}, ["/content"]),
        ({"content": {"text": "x"}}, ["/content"]),
        ({"content": "nul\x00"}, ["/content"]),
        ({"content_type": "text/rtf"}, ["/content_type"]),
        ({"content_type": 1}, ["/content_type"]),
        ({"thread_id": 1}, ["/thread_id"]),
        ({"thread_id": "thr\n1"}, ["/thread_id"]),
        ({"thread_id": "thr_1", "in_reply_to": "a@example.com"}, ["/in_reply_to"]),
        ({"in_reply_to": ["a@example.com"]}, ["/in_reply_to"]),
        ({"send_at": "tomorrow"}, ["/send_at"]),
        ({"send_at": 1893456000}, ["/send_at"]),
        ({"send_at": "1893456000"}, ["/send_at"]),
        ({"send_at": "2026-01-01"}, ["/send_at"]),
        ({"send_at": "2026-01-01T10:00:00"}, ["/send_at"]),
        ({"send_at": "2099-01-01T10:00:00Z"}, ["/send_at"]),
        ({"send_at": "9999-12-31T23:59:59-14:00"}, ["/send_at"]),
        ({"attachments": "file"}, ["/attachments"]),
        ({"attachments": ["file"]}, ["/attachments/0"]),
        ({"attachments": [{"filename": "a"}]}, ["/attachments/0/content"]),
        ({"attachments": [{"filename": "a", "content": "no base64!"}]}, ["/attachments/0/content"]),
        ({"attachments": [{"filename": "a", "content": 5}]}, ["/attachments/0/content"]),
        ({"attachments": [{"filename": "", "content": "YQ=="}]}, ["/attachments/0/filename"]),
        ({"attachments": [{"filename": "a\r\nb", "content": "YQ=="}]}, ["/attachments/0/filename"]),
        ({"attachments": [{"filename": "x" * 256, "content": "YQ=="}]}, ["/attachments/0/filename"]),
        (
            {"attachments": [{"filename": "a", "content_type": "x\r\nY: z", "content": "YQ=="}]},
            ["/attachments/0/content_type"],
        ),
        (
            {"attachments": [{"filename": "a", "content": "YQ==", "path": "/etc/passwd"}]},
            ["/attachments/0/path"],
        ),
        ({"attachments": [{"filename": "a", "content": "YQ=="}] * 101}, ["/attachments"]),
        ({"surprise": 1}, ["/surprise"]),
        ({"from_": "a@example.com"}, ["/from_"]),
        ({"email": "a@example.com"}, ["/email"]),
        ({"message": "x"}, ["/message"]),
    ],
)
def test_a4_bad_input_names_the_field_and_sends_nothing(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, change: dict[str, Any], where: list[str]
) -> None:
    answer = admin.post(SEND, json=mail(sender, **change))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointers(answer) == where
    assert smtp.commands == []
    assert submissions(admin, sender) == []


@pytest.mark.parametrize("name", ["site_id", "to", "subject", "content"])
def test_a4_missing_fields_are_named(admin: httpx2.Client, sender: str, name: str) -> None:
    body = mail(sender)
    del body[name]
    answer = admin.post(SEND, json=body)
    assert answer.status_code == 422
    assert pointers(answer) == [f"/{name}"]


def test_a4_faults_point_at_the_name_that_was_used(admin: httpx2.Client, sender: str) -> None:
    body = {"site_id": sender, "email": ["a@example.com", "nobody"], "subject": "Hi", "message": "x"}
    assert pointers(admin.post(SEND, json=body)) == ["/email/1"]
    body = {"site_id": sender, "email": "a@example.com", "subject": "Hi", "message": ""}
    assert pointers(admin.post(SEND, json=body)) == ["/message"]


def test_a4_what_was_written_is_not_repeated_in_errors_nor_logged(
    admin: httpx2.Client, service: Served, sender: str
) -> None:
    for change in (
        {"to": "canary-secret@@example.com"},
        {"content_type": "canary-secret"},
        {"send_at": "canary-secretT"},
        {"attachments": [{"filename": "a", "content": "canary-secret!"}]},
        {"from": "canary-secret@example.com"},
    ):
        answer = admin.post(SEND, json=mail(sender, **change))
        assert answer.status_code == 422
        assert "canary-secret" not in answer.text
    assert "canary-secret" not in service.log_text()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"site_id": "a", "site_id": "b"}',
        b'{"to": NaN}',
        b'{"to": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"a": ' * 60 + b"1" + b"}" * 60,
        b'{"a":' * 50_000,
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"9" * 10_000 + b"}",
    ],
)
def test_a4_what_is_no_sound_json_object_is_refused(admin: httpx2.Client, body: bytes) -> None:
    answer = admin.post(SEND, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_input"


def test_a4_other_media_types_are_refused(admin: httpx2.Client, sender: str) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        content = json.dumps(mail(sender)).encode()
        assert admin.post(SEND, content=content, headers={"content-type": kind}).status_code == 415


def test_a4_forms_are_judged_like_json(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    file = {"a": ("a.txt", b"a", "text/plain")}
    for form, where in [
        (mail(sender) | {"subject": "a\nb"}, "/subject"),
        (mail(sender) | {"surprise": "1"}, "/surprise"),
        (mail(sender) | {"subject": ["a", "b"]}, "/subject"),
        (mail(sender) | {"attachments": "text"}, "/attachments"),
        (mail(sender) | {"to": "nobody"}, "/to"),
    ]:
        answer = admin.post(SEND, data=form, files=file)
        assert answer.status_code == 422, answer.text
        assert pointers(answer) == [where]
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert admin.post(SEND, content=b"--x\r\nnonsense", headers=broken).status_code == 422
    no_boundary = {"content-type": "multipart/form-data"}
    assert admin.post(SEND, content=b"--x--", headers=no_boundary).status_code == 422
    many = [("f", (f"{n}.txt", b"x", "text/plain")) for n in range(101)]
    assert admin.post(SEND, data=mail(sender), files=many).status_code == 422
    assert smtp.commands == []


def test_a4_an_unknown_site_is_404_and_another_sites_key_learns_nothing(
    service: Served, admin: httpx2.Client, sender: str, site: str
) -> None:
    unknown = admin.post(SEND, json=mail("no-such-site"))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "site_not_found")
    other = f"{sender}-other"
    admin.patch(f"/api/sites/{other}/settings", json=channel(other))
    with site_client(service, admin, other) as stranger:
        foreign = stranger.post(SEND, json=mail(sender))
        missing = stranger.post(SEND, json=mail("no-such-site"))
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json() == missing.json() == unknown.json()


BIG = 30 * 1024 * 1024


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(total // 65_536):
        yield b"x" * 65_536


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [SEND, "/email/incoming", "/api/secure-tokens/encrypt"])
def test_a4_a_body_of_30_mb_is_refused(admin: httpx2.Client, path: str, chunked: bool) -> None:
    content = chunks(BIG) if chunked else b"x" * BIG
    token = INCOMING_TOKEN if path == "/email/incoming" else ADMIN_KEY
    headers = {"content-type": "application/json", "Authorization": f"Bearer {token}"}
    answer = admin.post(path, content=content, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


def test_a4_files_that_are_too_large_together_are_refused(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    upload = {"attachments": ("a.bin", b"\x00" * (20 * 1024 * 1024), "application/octet-stream")}
    answer = admin.post(SEND, data=mail(sender), files=upload)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert smtp.commands == []
    assert submissions(admin, sender) == []


def test_a4_a_text_that_is_too_long_is_refused(admin: httpx2.Client, sender: str) -> None:
    answer = admin.post(SEND, json=mail(sender, content="x" * 1_000_001))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert submissions(admin, sender) == []


def test_a4_others_are_served_while_a_large_mail_is_written(
    admin: httpx2.Client, service: Served, sender: str, smtp: ScriptedSmtp
) -> None:
    hostile = "[" * 99_000  # takes a Markdown reader seconds
    with service.client() as other, ThreadPoolExecutor(1) as pool:
        large = pool.submit(other.post, SEND, json=mail(sender, content=hostile))
        slowest = 0.0
        while not large.done():
            slowest = max(slowest, admin.get("/healthz").elapsed.total_seconds())
        assert large.result().status_code == 201
    assert slowest < 0.5
