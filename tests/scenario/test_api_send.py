"""A4: sending as a site, from the request to the bytes that the mail server took."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx2
import pytest

from tests.scenario.conftest import (
    channel,
    make_sender,
    pointers,
    post_mail,
    site_client,
)
from tests.support.scripted_smtp import CLOSE, HANG, ScriptedSmtp
from tests.support.sendmail import SEND, mail, parsed, submissions, text_of
from tests.support.served import Served, eventually

_keys = count()


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
