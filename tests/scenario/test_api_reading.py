"""Lists, single things, and what a person changes by hand."""

import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.scenario.conftest import in_state, make_sender, pointers, post_mail, site_client
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.sendmail import SEND, listed, send
from tests.support.served import Served, eventually

NO_CURSORS = ["x", "AAAA", "bnVsbA", "W10", "WzFd", "e30", "=", "%00", "[1]", "ü", "'; drop --", "A" * 501]
LISTS = ("threads", "messages", "submissions", "events")


def walked(
    admin: httpx2.Client, site: str, what: str, limit: int, cursor: str | None = None
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = listed(admin, site, what, limit=limit, **({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


# --- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("limit", [1, 3, 4, 200])
def test_a_list_is_walked_to_its_end_without_loss_or_repetition(
    admin: httpx2.Client, sender: str, what: str, limit: int
) -> None:
    for number in range(9):
        send(admin, sender, subject=f"Mail {number}")
    whole = listed(admin, sender, what)["items"]
    assert len(whole) >= 9
    steps = walked(admin, sender, what, limit)
    assert steps == whole
    assert len({item["id"] for item in steps}) == len(steps)


def test_lists_are_newest_first(admin: httpx2.Client, sender: str) -> None:
    subjects = [send(admin, sender, subject=f"Mail {n}") and f"Mail {n}" for n in range(4)]
    for what in ("threads", "messages", "submissions"):
        found = [item["subject"] for item in listed(admin, sender, what)["items"]]
        assert found == subjects[::-1]
    moments = [event["at"] for event in listed(admin, sender, "events")["items"]]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize("what", ["messages", "submissions", "events"])
def test_what_comes_while_one_pages_repeats_nothing(admin: httpx2.Client, sender: str, what: str) -> None:
    for _ in range(4):
        send(admin, sender)
    first = listed(admin, sender, what, limit=2)
    before = listed(admin, sender, what)["items"]
    send(admin, sender)
    rest = walked(admin, sender, what, 2, first["next"])
    assert first["items"] + rest == before


def test_the_default_page_has_fifty(admin: httpx2.Client, sender: str) -> None:
    for number in range(51):
        post_mail(admin, sender, from_address=f"p{number}@example.org", message_id=f"<{number}@{sender}>")
    page = listed(admin, sender, "messages", direction="in")
    assert len(page["items"]) == 50
    assert page["next"]


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "many", ""])
@pytest.mark.parametrize("what", [*(f"/api/sites/{{}}/{name}" for name in LISTS), "/api/sites"])
def test_bad_limits_are_refused(admin: httpx2.Client, site: str, what: str, limit: str) -> None:
    answer = admin.get(what.format(site), params={"limit": limit})
    assert answer.status_code == 422
    assert pointers(answer) == ["/limit"]


@pytest.mark.parametrize("what", [*(f"/api/sites/{{}}/{name}" for name in LISTS), "/api/sites"])
@pytest.mark.parametrize("cursor", NO_CURSORS)
def test_bad_cursors_are_refused(admin: httpx2.Client, site: str, what: str, cursor: str) -> None:
    answer = admin.get(what.format(site), params={"cursor": cursor})
    if cursor == "WzFd" and what.endswith("messages"):
        assert answer.json() == {"items": [], "next": None}  # a place, though nothing is beyond it
        return
    assert answer.status_code == 422
    assert pointers(answer) == ["/cursor"]


def test_cursors_of_other_lists_and_changed_ones_are_refused(admin: httpx2.Client, sender: str) -> None:
    for _ in range(3):
        send(admin, sender)
    cursor = listed(admin, sender, "submissions", limit=1)["next"]
    place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for changed in ([*place, 1], place[:1], [place[1], place[0]], [2**70, place[1]], {"a": 1}):
        written = urlsafe_b64encode(json.dumps(changed, separators=(",", ":")).encode()).rstrip(b"=")
        answer = admin.get(f"/api/sites/{sender}/submissions", params={"cursor": written.decode()})
        assert answer.status_code == 422
    assert admin.get(f"/api/sites/{sender}/messages", params={"cursor": cursor}).status_code == 422


def test_another_sites_cursor_shows_nothing_of_it(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    other = f"{sender}-b"
    make_sender(admin, other, smtp.port)
    for _ in range(3):
        send(admin, other)
    mine = send(admin, sender)["submission_id"]
    for what in LISTS:
        cursor = listed(admin, other, what, limit=1)["next"]
        page = listed(admin, sender, what, cursor=cursor)
        assert {item["site_id"] for item in page["items"]} <= {sender}
    assert [s["id"] for s in listed(admin, sender, "submissions")["items"]] == [mine]


def test_messages_can_be_filtered(admin: httpx2.Client, sender: str, smtp: ScriptedSmtp) -> None:
    came = post_mail(admin, sender, message_id=f"<in@{sender}>")
    automatic = post_mail(admin, sender, message_id=f"<robot@{sender}>", from_address="mailer-daemon@x.org")
    in_state(admin, sender, "answered")

    def ids(**filters: str) -> set[str]:
        return {m["message_id"] for m in listed(admin, sender, "messages", **filters)["items"]}

    assert ids(direction="in") == {f"in@{sender}", f"robot@{sender}"}
    assert ids(state="answered") == {f"in@{sender}"}
    assert ids(state="no_answer", direction="in") == {f"robot@{sender}"}
    assert ids(message_id=f"<in@{sender}>") == ids(message_id=f"in@{sender}") == {f"in@{sender}"}
    assert f"in@{sender}" in ids(thread_id=came["thread_id"])
    assert ids(thread_id=automatic["thread_id"]) == {f"robot@{sender}"}
    (robot,) = listed(admin, sender, "messages", state="no_answer")["items"]
    assert ids(reason=robot["reason"]) == {f"robot@{sender}"}
    assert ids(reason="nothing_such") == set()


def test_submissions_threads_and_events_can_be_filtered(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    smtp.on("rcpt", ["550 no", "250 ok"])
    body = {"site_id": sender, "to": "a@example.com", "subject": "No", "content": "x"}
    refused = admin.post(SEND, json=body).json()
    sent = send(admin, sender)
    post_mail(admin, sender, message_id=f"<q@{sender}>")
    in_state(admin, sender, "answered")

    def ids(what: str, **filters: str) -> list[str]:
        return [item["id"] for item in listed(admin, sender, what, **filters)["items"]]

    assert ids("submissions", status="rejected") == [refused["submission_id"]]
    assert sent["submission_id"] in ids("submissions", status="sent")
    assert len(ids("submissions", kind="answer")) == 1
    assert ids("submissions", thread_id=sent["thread_id"]) == [sent["submission_id"]]
    assert ids("threads", thread_key=sent["message_id"]) == [sent["thread_id"]]
    assert ids("threads", paused="true") == []
    assert len(ids("threads", paused="false")) == 3
    kinds = {e["type"] for e in listed(admin, sender, "events")["items"]}
    assert {"message.received", "message.answered", "submission.sent", "submission.rejected"} <= kinds
    assert len(ids("events", type="submission.rejected")) == 1
    assert len(ids("events", submission_id=refused["submission_id"])) == 2
    (answered,) = listed(admin, sender, "events", type="message.answered")["items"]
    assert answered["id"] in ids("events", thread_id=answered["thread_id"])
    assert answered["id"] in ids("events", message_id=answered["message_id"])
    assert answered["id"] in ids("events", turn_id=answered["turn_id"])


@pytest.mark.parametrize(
    ("what", "name", "value"),
    [
        ("messages", "state", "asleep"),
        ("messages", "direction", "up"),
        ("messages", "reason", "x" * 999),
        ("submissions", "status", ""),
        ("submissions", "kind", "spam"),
        ("threads", "paused", "perhaps"),
    ],
)
def test_bad_filters_are_refused(admin: httpx2.Client, site: str, what: str, name: str, value: str) -> None:
    answer = admin.get(f"/api/sites/{site}/{what}", params={name: value})
    assert answer.status_code == 422
    assert pointers(answer) == [f"/{name}"]


def test_odd_filter_values_find_nothing_and_break_nothing(admin: httpx2.Client, site: str) -> None:
    for value in ("\x00", "%", "'", "\\", "\U0001f600", "<>", "a" * 998):
        for what, name in (("messages", "message_id"), ("events", "type"), ("threads", "thread_key")):
            assert listed(admin, site, what, **{name: value}) == {"items": [], "next": None}


# --- single things --------------------------------------------------------------------------------


def test_a_message_reads_as_it_was_written(admin: httpx2.Client, sender: str) -> None:
    text = "New words\n\nOn 1 Jan 2026, Desk wrote:\n> old words\n"
    came = post_mail(admin, sender, text, message_id=f"<read@{sender}>", subject="Re: Grüße")
    (message,) = listed(admin, sender, "messages", message_id=f"read@{sender}")["items"]
    assert admin.get(f"/api/messages/{message['id']}").json()["id"] == message["id"]
    assert message["thread_id"] == came["thread_id"]
    assert message["subject"] == "Re: Grüße"
    assert "old words" in message["text"]
    assert message["new_text"].strip() == "New words"
    assert message["received_at"].endswith("Z")
    assert message["from"] == {"name": "Ann", "address": f"ann@{sender}.example.org"}


def test_a_conversation_comes_oldest_first_and_in_pages(admin: httpx2.Client, sender: str) -> None:
    first = send(admin, sender)
    ids = [first["message_id"]]
    for number in range(4):
        more = send(admin, sender, thread_id=first["thread_id"], content=f"More {number}")
        ids.append(more["message_id"])
    path = f"/api/threads/{first['thread_id']}"
    whole = admin.get(path).json()
    assert [m["message_id"] for m in whole["items"]] == ids
    assert (whole["messages"], whole["next"]) == (5, None)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = admin.get(path, params={"limit": "2", **cursor}).json()
        found = [m["message_id"] for m in page["items"]] + found
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == ids


def test_the_raw_bytes_are_those_that_were_sent(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    send(admin, sender, content="Grüße\n\n.\nFrom here")
    (message,) = listed(admin, sender, "messages")["items"]
    raw = admin.get(f"/api/messages/{message['id']}/raw")
    assert raw.content == smtp.messages[-1].data
    assert len(raw.content) == message["size"]
    assert raw.headers["content-type"] == "message/rfc822"
    assert raw.headers["content-disposition"] == f'attachment; filename="{message["id"]}.eml"'
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in raw.headers["content-security-policy"]


NAMES = {
    "plain.txt": 'filename="plain.txt"',
    'we"ird;name.html': "filename*=UTF-8''we_ird%3Bname.html",
    "räport 2026.svg": "filename*=UTF-8''r%C3%A4port%202026.svg",
    "../../etc/passwd": "filename*=UTF-8''",
    "x" * 200 + ".pdf": "filename=",
}


def test_attachments_download_bit_for_bit_and_harmlessly(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    files = [(name, bytes([n]) * (1000 + n)) for n, name in enumerate(NAMES)]
    upload = [
        {"filename": name, "content": b64encode(data).decode(), "content_type": "text/html"}
        for name, data in files
    ]
    send(admin, sender, attachments=upload)
    (message,) = listed(admin, sender, "messages")["items"]
    assert len(message["attachments"]) == len(files)
    for shown, (name, data) in zip(message["attachments"], files, strict=True):
        answer = admin.get(f"/api/attachments/{shown['id']}")
        assert answer.content == data
        assert shown["size"] == len(data)
        assert answer.headers["content-type"] == "application/octet-stream"
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith("attachment; ")
        assert NAMES[name] in disposition
        assert "/" not in disposition
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


def test_a_submission_and_a_turn_can_be_read(admin: httpx2.Client, sender: str) -> None:
    post_mail(admin, sender, message_id=f"<turn@{sender}>")
    (message,) = in_state(admin, sender, "answered")
    path = f"/api/submissions/{message['answered_by']}"
    eventually(lambda: admin.get(path).json()["status"] == "sent")
    submission = admin.get(path).json()
    assert (submission["kind"], submission["answers"]) == ("answer", message["id"])
    assert submission["recipients"][f"ann@{sender}.example.org"]["status"] == "accepted"
    (event,) = listed(admin, sender, "events", type="message.answered")["items"]
    turn = admin.get(f"/api/turns/{event['turn_id']}").json()
    assert (turn["outcome"], turn["agent"], turn["message_id"]) == ("answered", "acknowledge", message["id"])
    assert "token" not in json.dumps(turn)


def things_of(admin: httpx2.Client, site: str) -> list[tuple[str, str, str]]:
    """Every way to a single thing of the site: method, path with its id, what it is."""
    upload = {"attachments": ("a.txt", b"a", "text/plain")}
    form = {"site_id": site, "to": "a@example.com", "subject": "Files", "content": "x"}
    sent = admin.post(SEND, data=form, files=upload).json()
    post_mail(admin, site, message_id=f"<thing@{site}>")
    in_state(admin, site, "answered")
    (event,) = listed(admin, site, "events", type="message.answered")["items"]
    with_file = next(m for m in listed(admin, site, "messages")["items"] if m["attachments"])
    (token, *_) = admin.get("/api/secure-tokens", params={"site_id": site}).json()["items"]
    message, thread, submission = with_file["id"], sent["thread_id"], sent["submission_id"]
    return [
        ("GET", f"/api/threads/{thread}", thread),
        ("POST", f"/api/threads/{thread}/resume", thread),
        ("GET", f"/api/messages/{message}", message),
        ("GET", f"/api/messages/{message}/raw", message),
        ("POST", f"/api/messages/{message}/retry", message),
        ("GET", f"/api/attachments/{with_file['attachments'][0]['id']}", with_file["attachments"][0]["id"]),
        ("GET", f"/api/submissions/{submission}", submission),
        ("DELETE", f"/api/submissions/{submission}", submission),
        ("GET", f"/api/turns/{event['turn_id']}", event["turn_id"]),
        ("DELETE", f"/api/secure-tokens/{token['id']}", token["id"]),
    ]


def test_d11_things_of_another_site_look_like_things_that_do_not_exist(
    service: Served, admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    other = f"{sender}-b"
    make_sender(admin, other, smtp.port)
    with site_client(service, admin, other) as stranger, site_client(service, admin, sender) as own:
        for method, path, identifier in things_of(admin, sender):
            kind = identifier.partition("_")[0]
            missing = path.replace(identifier, f"{kind}_00000000000000000000000000")
            foreign, unknown = stranger.request(method, path), stranger.request(method, missing)
            assert foreign.status_code == unknown.status_code == 404, path
            assert foreign.text == unknown.text
            assert dict(foreign.headers) | {"date": ""} == dict(unknown.headers) | {"date": ""}
            assert own.request(method, path).status_code in (200, 204, 409), path


SINGLE = ("threads/{}", "messages/{}", "messages/{}/raw", "attachments/{}", "submissions/{}", "turns/{}")


@pytest.mark.parametrize("path", [*SINGLE, "sites/{}"])
def test_odd_ids_are_not_found(admin: httpx2.Client, path: str) -> None:
    for odd in ("%00", "..", "..%2f..%2fetc%2fpasswd", "%ff", "'", "x" * 3000, quote("\U0001f600"), "%0d%0a"):
        answer = admin.get("/api/" + path.format(odd))
        assert answer.status_code == 404, odd
        assert answer.headers["content-type"] == "application/problem+json"
