"""The HTTP agent against a real server: what it sends, and what each response comes to."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from postroom.agents.connect import MAX_RESPONSE, open_client
from postroom.agents.http import HttpAgent
from postroom.core.agent import Answer, Attachment
from postroom.core.clock import SystemClock
from postroom.core.errors import AgentFailed
from postroom.mail.message import Address
from tests.support.clock import START, TestClock
from tests.support.scripted_http import Received, Scripted, json_answer, scripted_http
from tests.support.turns import attachment, message, turn

PUBLIC = "https://post.example.com/"


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client() as opened:
        yield opened


async def _answer_to(client: httpx2.AsyncClient, scripted: Scripted, limit: int = MAX_RESPONSE) -> Answer:
    async with scripted_http(lambda _: scripted) as server:
        return await HttpAgent(server.url(), client, TestClock(), PUBLIC, limit=limit).answer(turn())


async def _failure_of(
    client: httpx2.AsyncClient, scripted: Scripted, limit: int = MAX_RESPONSE
) -> AgentFailed:
    with pytest.raises(AgentFailed) as failed:
        await _answer_to(client, scripted, limit)
    return failed.value


# --- what is sent -------------------------------------------------------------------------------


async def test_c_the_turn_goes_out_as_json_with_urls_of_our_api(client: httpx2.AsyncClient) -> None:
    asked = turn(
        message=message(
            subject="Grüße 😀",
            cc=(Address("Bo", "bo@example.org"),),
            html="<p>And on Sunday?</p>",
            attachments=(attachment(b"%PDF"),),
        )
    )
    async with scripted_http(lambda _: json_answer({"text": "x"})) as server:
        await HttpAgent(server.url("/turns?x=1"), client, TestClock(), PUBLIC).answer(asked)
    (request,) = server.received
    assert (request.method, request.path) == ("POST", "/turns?x=1")
    assert request.headers["content-type"] == "application/json"
    assert request.json() == {
        "turn": {
            "id": "turn_1",
            "site_id": "shop",
            "thread_id": "thr_1",
            "account": "help@example.com",
            "attempt": 1,
            "token": "turn-token",
            "callback_url": "https://post.example.com/api/turns/turn_1/answer",
            "message": {
                "message_id": "m2@example.org",
                "sender": {"name": "Anna Muster", "address": "anna@example.org"},
                "trust": "verified",
                "to": [{"name": "", "address": "help@example.com"}],
                "cc": [{"name": "Bo", "address": "bo@example.org"}],
                "subject": "Grüße 😀",
                "date": "2026-03-02T08:59:00+00:00",
                "text": "And on Sunday?\n\n> We open at nine.",
                "new_text": "And on Sunday?",
                "html": "<p>And on Sunday?</p>",
                "attachments": [
                    {
                        "id": "att_1",
                        "filename": "plan.pdf",
                        "content_type": "application/pdf",
                        "size": 4,
                        "url": "https://post.example.com/api/attachments/att_1",
                    }
                ],
            },
            "history": [
                {
                    "role": "correspondent",
                    "text": "When do you open?",
                    "subject": "Opening hours",
                    "date": None,
                },
                {"role": "agent", "text": "We open at nine.", "subject": "Re: Opening hours", "date": None},
            ],
        }
    }


async def test_c_the_call_is_signed_by_standard_webhooks(client: httpx2.AsyncClient) -> None:
    secret = "whsec_" + b64encode(b"k" * 32).decode()
    async with scripted_http(lambda _: json_answer({"text": "x"})) as server:
        agent = HttpAgent(server.url(), client, SystemClock(), PUBLIC, secret=secret)
        await agent.answer(turn())
        await agent.answer(turn(attempt=2))
    for request in server.received:
        assert Webhook(secret).verify(request.body, request.headers) == request.json()
    assert [r.headers["webhook-id"] for r in server.received] == ["turn_1", "turn_1"]


async def test_without_a_secret_nothing_is_signed(client: httpx2.AsyncClient) -> None:
    async with scripted_http(lambda _: json_answer({"text": "x"})) as server:
        await HttpAgent(server.url(), client, TestClock(), PUBLIC).answer(turn())
    assert not any(name.startswith("webhook-") for name in server.received[0].headers)


async def test_a_large_turn_arrives_whole(client: httpx2.AsyncClient) -> None:
    text = "wörter " * 100_000
    async with scripted_http(lambda _: json_answer({"text": "x"})) as server:
        await HttpAgent(server.url(), client, TestClock(), PUBLIC).answer(turn(message=message(text=text)))
    assert server.received[0].json()["turn"]["message"]["text"] == text


async def test_cookies_of_one_answer_are_not_sent_with_the_next_call(client: httpx2.AsyncClient) -> None:
    async with scripted_http(lambda _: json_answer({"text": "x"}, set_cookie="who=anna")) as server:
        agent = HttpAgent(server.url(), client, TestClock(), PUBLIC)
        await agent.answer(turn())
        await agent.answer(turn())
    assert "cookie" not in server.received[1].headers


# --- what comes back ----------------------------------------------------------------------------


async def test_c_json_becomes_text_and_files(client: httpx2.AsyncClient) -> None:
    files = [{"filename": "a.txt", "content_type": "text/plain", "content": b64encode(b"a").decode()}]
    answer = await _answer_to(client, json_answer({"text": "**Closed.**", "attachments": files}))
    assert answer == Answer("**Closed.**", [Attachment("a.txt", b"a", "text/plain")])


async def test_c_nothing_mails_nothing(client: httpx2.AsyncClient) -> None:
    answer = await _answer_to(client, json_answer({"nothing": "out of scope"}))
    assert (answer.kind, answer.reason) == ("nothing", "out of scope")


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", "Grüße".encode(), "Grüße"),
        ("text/markdown; charset=utf-8", "# Grüße".encode(), "# Grüße"),
        ("Text/Plain; charset=ISO-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("text/plain; charset=nonsense", "Grüße".encode(), "Grüße"),
        ("text/plain; charset=base64", "Grüße".encode(), "Grüße"),
        ("text/plain", b"a\xff\x00b", "a\ufffdb"),
        ("application/vnd.agent+json", b'{"text": "x"}', "x"),
        ("", b'{"text": "x"}', "x"),
    ],
)
async def test_c_a_text_body_is_the_answer(
    client: httpx2.AsyncClient, content_type: str, body: bytes, text: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert (await _answer_to(client, Scripted(200, headers, body))).text == text


async def test_c_202_means_that_the_answer_comes_later(client: httpx2.AsyncClient) -> None:
    assert (await _answer_to(client, Scripted(202, {}, b"whatever"))).kind == "later"


@pytest.mark.parametrize(
    "scripted",
    [
        Scripted(200),
        Scripted(raw=b"HTTP/1.1 204 No Content\r\n\r\n", close=True),
        Scripted(200, {"content-type": "text/plain"}, b" \n"),
        json_answer({"text": ""}),
    ],
)
async def test_b5_an_empty_answer_mails_nothing(client: httpx2.AsyncClient, scripted: Scripted) -> None:
    answer = await _answer_to(client, scripted)
    assert (answer.kind, answer.reason) == ("nothing", "empty_answer")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
async def test_c_408_429_and_5xx_are_tried_again(client: httpx2.AsyncClient, status: int) -> None:
    failed = await _failure_of(client, Scripted(status, {"retry-after": "120"}))
    assert failed.temporary
    assert failed.after == 120
    assert str(status) in failed.text


async def test_retry_after_may_be_a_date_and_is_capped_at_a_day(client: httpx2.AsyncClient) -> None:
    for value, seconds in (
        (format_datetime(datetime(2026, 3, 2, 9, 1, 30, tzinfo=UTC), usegmt=True), 90),
        (format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True), 0),
        (format_datetime(datetime(2036, 1, 1, tzinfo=UTC), usegmt=True), 86400),
        ("9" * 50, 86400),
        ("soon", None),
        ("-5", None),
    ):
        assert datetime(2026, 3, 2, 9, 0, tzinfo=UTC) == START
        failed = await _failure_of(client, Scripted(503, {"retry-after": value}))
        assert failed.after == seconds, value


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
async def test_c_other_4xx_are_failures(client: httpx2.AsyncClient, status: int) -> None:
    failed = await _failure_of(client, Scripted(status, {}, b"private details"))
    assert (failed.temporary, failed.code) == (False, "agent_refused")
    assert str(status) in failed.text
    assert "private" not in failed.text


async def test_redirects_are_not_followed(client: httpx2.AsyncClient) -> None:
    async with scripted_http(lambda _: json_answer({"text": "stolen"})) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            failed = await _failure_of(client, Scripted(status, {"location": elsewhere.url()}))
            assert not failed.temporary
            assert "redirects are not followed" in failed.text
        assert elsewhere.connections == 0


@pytest.mark.parametrize(
    ("scripted", "told"),
    [
        (Scripted(200, {"content-type": "application/json"}, b"{"), "not valid JSON"),
        (Scripted(200, {"content-type": "application/json"}, b"\xff\xfe"), "not valid JSON"),
        (Scripted(200, {"content-type": "application/json"}, b"[" * 100_000), "not valid JSON"),
        (json_answer({"answer": "x"}), '"text" or "nothing"'),
        (json_answer({"text": 7}), "/text"),
        (json_answer({"text": "x", "attachments": [{"filename": "a", "content": "?"}]}), "content: must be"),
        (Scripted(200, {"content-type": "text/html"}, b"<p>x</p>"), "text/markdown"),
        (Scripted(200, {"content-type": "garbage"}, b"x"), "text/markdown"),
        (Scripted(200, {"content-type": "text/plain", "content-encoding": "gzip"}, b"\x1f\x8b"), "encoded"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_failure_with_its_reason(
    client: httpx2.AsyncClient, scripted: Scripted, told: str
) -> None:
    failed = await _failure_of(client, scripted)
    assert not failed.temporary
    assert told in failed.text


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(client: httpx2.AsyncClient) -> None:
    announced = Scripted(200, {"content-type": "text/plain", "content-length": "99999999999"}, b"x" * 70_000)
    endless = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    chunked = Scripted(
        200, {"content-type": "text/plain", "transfer-encoding": "chunked"}, endless * 10, close=False
    )
    for scripted in (announced, chunked):
        failed = await _failure_of(client, scripted, limit=65536)
        assert (failed.temporary, failed.code) == (False, "agent_answer_too_large")
        assert "64 KiB" in failed.text


@pytest.mark.parametrize(
    "scripted",
    [
        Scripted(raw=b"", close=True),
        Scripted(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", close=True),
        Scripted(raw=b"SSH-2.0-server\r\n", close=True),
    ],
)
async def test_a_broken_connection_is_tried_again(client: httpx2.AsyncClient, scripted: Scripted) -> None:
    failed = await _failure_of(client, scripted)
    assert (failed.temporary, failed.code) == (True, "agent_unreachable")


async def test_a_server_that_is_down_is_tried_again(client: httpx2.AsyncClient) -> None:
    async with scripted_http(lambda _: Scripted()) as server:
        url = server.url("/private-path")
    with pytest.raises(AgentFailed) as failed:
        await HttpAgent(url, client, TestClock(), PUBLIC).answer(turn())
    assert (failed.value.temporary, failed.value.code) == (True, "agent_unreachable")
    assert "private-path" not in failed.value.text


async def test_a_silent_server_is_given_up_at_the_deadline_and_tried_again(
    client: httpx2.AsyncClient,
) -> None:
    slow = Scripted(raw=b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nx")
    async with (
        scripted_http(lambda _: Scripted(silent=True)) as silent,
        scripted_http(lambda _: slow) as half,
    ):
        for server in (silent, half):
            agent = HttpAgent(server.url(), client, TestClock(), PUBLIC, deadline=0.2)
            with pytest.raises(AgentFailed) as failed:
                async with asyncio.timeout(5):
                    await agent.answer(turn())
            assert (failed.value.temporary, failed.value.code) == (True, "agent_timeout")


async def test_a_call_that_is_cancelled_leaves_nothing_running(client: httpx2.AsyncClient) -> None:
    arrived = asyncio.Event()

    def respond(_: Received) -> Scripted:
        arrived.set()
        return Scripted(silent=True)

    async with scripted_http(respond) as server:
        call = asyncio.create_task(HttpAgent(server.url(), client, TestClock(), PUBLIC).answer(turn()))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "ftp://example.com/", "http://[::1/"])
async def test_an_impossible_url_is_a_failure(client: httpx2.AsyncClient, url: str) -> None:
    with pytest.raises(AgentFailed) as failed:
        await HttpAgent(url, client, TestClock(), PUBLIC).answer(turn())
    assert (failed.value.temporary, failed.value.code) == (False, "agent_not_configured")


async def test_a_secret_that_is_no_key_is_a_failure_and_nothing_is_sent(client: httpx2.AsyncClient) -> None:
    async with scripted_http(lambda _: json_answer({"text": "x"})) as server:
        agent = HttpAgent(server.url(), client, TestClock(), PUBLIC, secret="whsec_%%")
        with pytest.raises(AgentFailed) as failed:
            await agent.answer(turn())
        assert (failed.value.temporary, failed.value.code) == (False, "agent_not_configured")
        assert server.received == []


async def test_a_large_answer_with_files_comes_through(client: httpx2.AsyncClient) -> None:
    content = bytes(range(256)) * 4096
    files = [{"filename": "big.bin", "content": b64encode(content).decode()}]
    answer = await _answer_to(client, json_answer({"text": "x", "attachments": files}))
    assert answer.attachments[0].content == content
    assert json.dumps({"text": answer.text}) == '{"text": "x"}'
