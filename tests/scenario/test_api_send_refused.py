"""A4: what sendEmail refuses, and how it says so."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import (
    INCOMING_TOKEN,
    channel,
    pointers,
    site_client,
)
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.sendmail import SEND, mail, submissions
from tests.support.served import ADMIN_KEY, Served

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
