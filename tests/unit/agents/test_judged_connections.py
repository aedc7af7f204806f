"""Hosts that tenants name (D10): asked once, connected to as judged, verified by name, and bounded."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from postroom.agents.connect import JudgedTransport, open_client
from postroom.agents.http import HttpAgent
from postroom.core.errors import AgentFailed, MailServerError, ServerCode
from tests.support.certificates import CertificateAuthority
from tests.support.clock import TestClock
from tests.support.scripted_http import Received, Scripted, json_answer, scripted_http
from tests.support.turns import turn

NAME = "elsewhere.example.test"
CLOSED = Scripted(200, {"content-type": "text/plain", "connection": "close"}, b"Closed.", close=True)


class Judging:
    """A judge that gives prepared addresses, one a question, and remembers what it was asked."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = iter(addresses)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> str:
        self.asked.append((host, port))
        return next(self._addresses)


def _refusing(code: ServerCode) -> Callable[[str, int], Awaitable[str]]:
    async def judge(host: str, port: int) -> str:
        raise MailServerError(code, "refused for a reason")

    return judge


def judged(transport: JudgedTransport) -> httpx2.AsyncClient:
    return open_client(transport)


def _agent(url: str, client: httpx2.AsyncClient) -> HttpAgent:
    return HttpAgent(url, client, TestClock(), "https://post.example.com", deadline=5)


async def test_d10_the_connection_goes_to_the_judged_address_and_the_resolver_is_asked_once() -> None:
    # A name that rebinds would be private the second time; there is no second time.
    judge = Judging("127.0.0.1")
    async with scripted_http(lambda _: CLOSED) as server, judged(JudgedTransport(judge)) as client:
        answer = await _agent(server.url(host="rebinding.example.test"), client).answer(turn())
    assert answer.text == "Closed."
    assert judge.asked == [("rebinding.example.test", server.port)]
    assert server.received[0].headers["host"] == f"rebinding.example.test:{server.port}"


async def test_d10_every_new_connection_is_judged_anew() -> None:
    judge = Judging("127.0.0.1", "127.0.0.1")
    async with scripted_http(lambda _: CLOSED) as server, judged(JudgedTransport(judge)) as client:
        for _ in range(2):
            await _agent(server.url(host="a.example.test"), client).answer(turn())
    assert server.connections == len(judge.asked) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "localhost"])
async def test_d10_addresses_in_the_url_are_judged_too(host: str) -> None:
    async with scripted_http(lambda _: CLOSED) as server:
        transport = JudgedTransport(_refusing(ServerCode.HOST_NOT_ALLOWED))
        async with judged(transport) as client:
            with pytest.raises(AgentFailed) as failed:
                await _agent(server.url(host=host), client).answer(turn())
        assert server.connections == 0
    assert (failed.value.code, failed.value.temporary) == ("host_not_allowed", False)
    assert host not in failed.value.text


async def test_a_name_that_cannot_be_resolved_is_tried_again() -> None:
    async with judged(JudgedTransport(_refusing(ServerCode.DNS_FAILED))) as client:
        with pytest.raises(AgentFailed) as failed:
            await _agent("https://nowhere.example.test/", client).answer(turn())
    assert (failed.value.code, failed.value.temporary) == ("dns_failed", True)


async def test_d10_a_redirect_to_a_private_address_is_not_followed() -> None:
    async with scripted_http(lambda _: json_answer({"text": "metadata"})) as inside:
        away = Scripted(307, {"location": inside.url()})
        transport = JudgedTransport(Judging("127.0.0.1", "127.0.0.1"))
        async with scripted_http(lambda _: away) as server, judged(transport) as client:
            with pytest.raises(AgentFailed, match="redirects"):
                await _agent(server.url(host="a.example.test"), client).answer(turn())
        assert inside.connections == 0


async def test_d10_tls_is_verified_against_the_name_not_the_address(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    async with scripted_http(lambda _: CLOSED, authority.other_host().context()) as server:
        transport = JudgedTransport(Judging("127.0.0.1"), authority.client_context())
        async with judged(transport) as client:
            assert (await _agent(server.url(host=NAME), client).answer(turn())).text == "Closed."


async def test_d10_a_certificate_for_another_name_or_authority_gets_no_request(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    for certificate, trust in (
        (authority.localhost(), authority.client_context()),
        (authority.expired(), authority.client_context()),
        (authority.other_host(), None),
    ):
        async with scripted_http(lambda _: CLOSED, certificate.context()) as server:
            async with judged(JudgedTransport(Judging("127.0.0.1"), trust)) as client:
                with pytest.raises(AgentFailed) as failed:
                    await _agent(server.url(host=NAME), client).answer(turn())
            assert (failed.value.code, failed.value.temporary) == ("agent_tls_failed", True)
            assert server.received == []


async def test_the_environments_proxy_is_not_asked_for_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_http(lambda _: json_answer({"text": "by the proxy"})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        transport = JudgedTransport(Judging("127.0.0.1"))
        async with scripted_http(lambda _: CLOSED) as server, judged(transport) as client:
            answer = await _agent(server.url(host="a.example.test"), client).answer(turn())
        assert answer.text == "Closed."
        assert proxy.connections == 0


@pytest.mark.parametrize(
    ("scripted", "error"),
    [
        (Scripted(200, {}, b"x" * 5000), httpx2.ReadError),
        (Scripted(200, {"content-encoding": "gzip"}, b"\x1f\x8b"), httpx2.DecodingError),
        (Scripted(raw=b"", close=True), httpx2.RemoteProtocolError),
        (
            Scripted(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", close=True),
            httpx2.RemoteProtocolError,
        ),
        (Scripted(raw=b"nonsense\r\n\r\n", close=True), httpx2.RemoteProtocolError),
    ],
)
async def test_answers_too_large_encoded_or_broken_end_as_errors_of_the_client(
    scripted: Scripted, error: type[Exception]
) -> None:
    transport = JudgedTransport(Judging("127.0.0.1"), limit=4096)
    async with scripted_http(lambda _: scripted) as server, judged(transport) as client:
        with pytest.raises(error):
            await client.post(server.url(host="a.example.test"))


async def test_a_kept_connection_is_used_again_and_closed_with_the_transport() -> None:
    kept = Scripted(200, {"content-type": "text/plain"}, b"Closed.")
    async with scripted_http(lambda _: kept) as server:
        async with judged(JudgedTransport(Judging("127.0.0.1"))) as client:
            for _ in range(3):
                await _agent(server.url(host="a.example.test"), client).answer(turn())
        assert server.connections == 1
        assert len(server.received) == 3


async def test_many_calls_at_once_each_get_their_own_answer() -> None:
    async def judge(host: str, port: int) -> str:
        return "127.0.0.1"

    def echo(request: Received) -> Scripted:
        return json_answer({"text": request.json()["turn"]["id"]})

    async with scripted_http(echo) as server, judged(JudgedTransport(judge)) as client:
        agent = _agent(server.url(host="a.example.test"), client)
        answers = await asyncio.gather(*(agent.answer(turn(id=f"turn_{n}")) for n in range(50)))
    assert [a.text for a in answers] == [f"turn_{n}" for n in range(50)]
