"""A4: one Idempotency-Key, one mail."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import (
    make_sender,
    pointers,
)
from tests.support.scripted_smtp import Drip, ScriptedSmtp
from tests.support.sendmail import SEND, mail, submissions
from tests.support.served import Served, eventually

_keys = count()


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
