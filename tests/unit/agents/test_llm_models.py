"""Which model settings lead to which provider, and that a tenant's call carries nothing of the operator's."""

from typing import Any

import httpx2
import pytest

from postroom.agents.connect import JudgedTransport, open_client
from postroom.agents.llm import LlmAgent
from postroom.agents.llm_model import operator_model, tenant_model
from postroom.core.errors import AgentFailed, InvalidInput, MailServerError, ServerCode
from tests.support.openai_server import openai_server, says
from tests.support.turns import turn

OPERATORS = {
    "OPENAI_API_KEY": "operator-key",
    "OPENAI_ADMIN_KEY": "operator-key",
    "OPENAI_ORG_ID": "operator-org",
    "OPENAI_PROJECT_ID": "operator-project",
    "OPENAI_BASE_URL": "http://operator.example.test/v1",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer operator-key\nX-Gateway: operator-gateway",
    "ANTHROPIC_API_KEY": "operator-key",
    "ANTHROPIC_AUTH_TOKEN": "operator-key",
    "ANTHROPIC_BASE_URL": "http://operator.example.test",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Api-Key: operator-key\nX-Gateway: operator-gateway",
    "GOOGLE_API_KEY": "operator-key",
    "GEMINI_API_KEY": "operator-key",
}


@pytest.fixture
def operators_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OPERATORS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OPERATORS:
        monkeypatch.delenv(name, raising=False)


async def _loopback(host: str, port: int) -> str:
    return "127.0.0.1"


async def test_an_endpoint_of_a_tenant_gets_the_tenants_key_and_nothing_else(
    operators_environment: None,
) -> None:
    async with openai_server([says("x")]) as server, JudgedTransport(_loopback) as transport:
        url = server.http.url("/v1", host="models.example.test")
        model = tenant_model("llama3.1:8b", api_key="tenant-key", base_url=url, transport=transport)
        assert (await LlmAgent(model).answer(turn())).text == "x"
        (received,) = server.http.received
    assert received.json()["model"] == "llama3.1:8b"
    assert received.headers["authorization"] == "Bearer tenant-key"
    assert "operator" not in repr(received)
    assert not any(name.startswith(("x-", "openai-")) for name in received.headers)


async def test_an_endpoint_without_a_key_gets_no_key_at_all(operators_environment: None) -> None:
    async with openai_server([says("x")]) as server, JudgedTransport(_loopback) as transport:
        url = server.http.url("/v1", host="models.example.test")
        model = tenant_model("m", api_key=None, base_url=url, transport=transport)
        await LlmAgent(model).answer(turn())
    assert "authorization" not in server.http.received[0].headers
    assert "operator" not in repr(server.http.received)


@pytest.mark.parametrize(
    ("model", "host", "key_field", "key"),
    [
        ("openai:gpt-5", "api.openai.com", "authorization", "Bearer tenant-key"),
        ("openai-chat:gpt-5", "api.openai.com", "authorization", "Bearer tenant-key"),
        ("anthropic:claude-x", "api.anthropic.com", "authorization", "Bearer tenant-key"),
        ("google:gemini-3-pro", "generativelanguage.googleapis.com", "x-goog-api-key", "tenant-key"),
        ("openrouter:meta/llama", "openrouter.ai", "authorization", "Bearer tenant-key"),
        ("mistral:large", "api.mistral.ai", "authorization", "Bearer tenant-key"),
    ],
)
async def test_a_provider_gets_the_tenants_key_and_nothing_of_the_operators(
    operators_environment: None, model: str, host: str, key_field: str, key: str
) -> None:
    seen: list[httpx2.Request] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(401, json={"error": {"message": "no", "code": 401, "status": "X"}})

    transport = httpx2.MockTransport(answer)
    agent = LlmAgent(tenant_model(model, api_key="tenant-key", base_url=None, transport=transport))
    with pytest.raises(AgentFailed) as failed:
        await agent.answer(turn())
    assert (failed.value.code, failed.value.temporary) == ("agent_refused", False)
    (request,) = seen
    assert (request.url.scheme, request.url.host) == ("https", host)
    assert request.headers[key_field] == key
    assert "operator" not in repr(request.headers.raw) + str(request.url)


async def test_d10_a_model_endpoint_that_is_not_allowed_is_not_connected_to() -> None:
    async def judge(host: str, port: int) -> str:
        raise MailServerError(ServerCode.HOST_NOT_ALLOWED, "private")

    async with openai_server([says("stolen")]) as server, JudgedTransport(judge) as transport:
        agent = LlmAgent(tenant_model("m", api_key=None, base_url=server.base_url, transport=transport))
        with pytest.raises(AgentFailed) as failed:
            await agent.answer(turn())
        assert server.http.connections == 0
    assert (failed.value.code, failed.value.temporary) == ("host_not_allowed", False)


@pytest.mark.parametrize(
    "model", ["gpt-5", "nobody:gpt-5", "openai:", "test", "bedrock:x", "gateway/openai:x"]
)
def test_a_tenants_model_that_is_not_on_offer_is_refused_with_those_that_are(model: str) -> None:
    with pytest.raises(AgentFailed, match="provider:model with one of openai, anthropic, google") as failed:
        tenant_model(model, api_key="k", base_url=None, transport=httpx2.MockTransport(_never))
    assert (failed.value.code, failed.value.temporary) == ("agent_not_configured", False)


@pytest.mark.parametrize("model", ["openai:gpt-5", "anthropic:claude", "google:gemini", "mistral:large"])
def test_a_tenant_without_a_key_does_not_use_the_operators(operators_environment: None, model: str) -> None:
    for missing in (None, ""):
        with pytest.raises(AgentFailed, match='token_type "agent", identifier "api_key"') as failed:
            tenant_model(model, api_key=missing, base_url=None, transport=httpx2.MockTransport(_never))
        assert not failed.value.temporary


async def _never(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError("nothing may be sent")


def _operators(model: str, **settings: Any) -> Any:
    options = {"api_key": None, "base_url": None} | settings
    return operator_model(model, client=open_client(), **options)


def test_the_operators_model_takes_its_key_from_the_setting_or_the_environment(
    operators_environment: None,
) -> None:
    assert _operators("openai:gpt-5").client.api_key == "operator-key"
    assert _operators("openai:gpt-5", api_key="own").client.api_key == "own"
    assert _operators("anthropic:claude-x", api_key="own").client.api_key == "own"
    assert _operators("test").model_name == "test"


def test_the_operators_endpoint_needs_no_provider(empty_environment: None) -> None:
    model = _operators("llama3.1:8b", base_url="http://127.0.0.1:11434/v1")
    assert (model.model_name, model.base_url) == ("llama3.1:8b", "http://127.0.0.1:11434/v1/")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("gpt-5", "Unknown model"),
        ("nobody:gpt-5", "Unknown provider"),
        ("openai:gpt-5", "OPENAI_API_KEY"),
        ("anthropic:claude-x", "ANTHROPIC_API_KEY"),
        ("groq:llama", "library that is not installed"),
    ],
)
def test_an_operators_model_that_cannot_be_used_is_refused_at_the_start(
    empty_environment: None, model: str, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        _operators(model)
