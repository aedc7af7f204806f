"""Which agent answers for a site, with which secrets, and how the operator's is built."""

import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from postroom.agents.acknowledge import AcknowledgeAgent
from postroom.agents.choose import AgentChoice, OperatorOptions, operator_agent
from postroom.agents.connect import Judge, open_client
from postroom.agents.spec import parse_agent_spec
from postroom.core.agent import Agent
from postroom.core.clock import SystemClock
from postroom.core.errors import AgentFailed, InvalidInput, MailServerError, ServerCode
from postroom.core.model import Site
from postroom.core.settings import parse_settings
from tests.support.clock import START
from tests.support.openai_server import openai_server, says
from tests.support.scripted_http import json_answer, scripted_http
from tests.support.turns import turn

PUBLIC = "https://post.example.com"


class KnownSecrets:
    """`core.ports.Credentials` from a dictionary, which the test may change."""

    def __init__(self, **values: str) -> None:
        self.values = values

    async def find(self, site_id: str, token_type: str, identifier: str) -> str | None:
        """The value kept as `site_type_identifier`."""
        return self.values.get(f"{site_id}_{token_type}_{identifier}")


async def allowing(host: str, port: int) -> str:
    return "127.0.0.1"


async def refusing(host: str, port: int) -> str:
    raise MailServerError(ServerCode.HOST_NOT_ALLOWED, "not public")


def site(agent: dict[str, Any] | None, site_id: str = "shop") -> Site:
    document = {"agent": agent} if agent else {}
    return Site(site_id, document, parse_settings(document), False, 1, None, START, START)


@asynccontextmanager
async def choosing(
    secrets: KnownSecrets, judge: Judge = allowing, operators: Agent | None = None
) -> AsyncIterator[AgentChoice]:
    choice = AgentChoice(operators or AcknowledgeAgent(), secrets, judge, SystemClock(), PUBLIC)
    yield choice
    await choice.close()


async def test_a_site_without_an_agent_gets_the_operators() -> None:
    operators = AcknowledgeAgent()
    async with choosing(KnownSecrets(), operators=operators) as choice:
        assert await choice.for_site(site(None)) is operators


async def test_a_site_may_ask_for_the_acknowledgement() -> None:
    async with openai_server([says("x")]) as server, open_client() as client:
        options = OperatorOptions(base_url=server.base_url)
        operators = operator_agent(parse_agent_spec("llm:m"), options, client, SystemClock(), PUBLIC)
        async with choosing(KnownSecrets(), operators=operators) as choice:
            assert (await choice.for_site(site({"type": "acknowledge"}))).name == "acknowledge"


async def test_c_a_sites_http_agent_is_signed_with_its_present_secret() -> None:
    first, second = ("whsec_" + b64encode(key * 32).decode() for key in (b"1", b"2"))
    secrets = KnownSecrets(shop_agent_secret=first, other_agent_secret="not this one")
    async with scripted_http(lambda _: json_answer({"text": "x"})) as server, choosing(secrets) as choice:
        asked = site({"type": "http", "url": server.url(host="agent.example.test")})
        await (await choice.for_site(asked)).answer(turn())
        secrets.values["shop_agent_secret"] = second
        await (await choice.for_site(asked)).answer(turn())
    for secret, request in zip((first, second), server.received, strict=True):
        assert Webhook(secret).verify(request.body, request.headers) == request.json()


async def test_d10_a_sites_http_agent_is_connected_to_only_where_it_may() -> None:
    async with scripted_http(lambda _: json_answer({"text": "x"})) as server:
        async with choosing(KnownSecrets(), refusing) as choice:
            agent = await choice.for_site(site({"type": "http", "url": server.url()}))
            with pytest.raises(AgentFailed) as failed:
                await agent.answer(turn())
        assert server.connections == 0
    assert failed.value.code == "host_not_allowed"


async def test_d10_the_operators_own_url_needs_no_leave() -> None:
    async with scripted_http(lambda _: json_answer({"text": "x"})) as server, open_client() as client:
        spec = parse_agent_spec(f"http:{server.url()}")
        operators = operator_agent(spec, OperatorOptions(secret="s3cret"), client, SystemClock(), PUBLIC)
        async with choosing(KnownSecrets(), refusing, operators) as choice:
            answer = await (await choice.for_site(site(None))).answer(turn())
    assert answer.text == "x"
    request = server.received[0]
    assert Webhook(b"s3cret").verify(request.body, request.headers) == request.json()


async def test_c_a_sites_language_model_gets_its_own_key_and_instructions() -> None:
    secrets = KnownSecrets(shop_agent_api_key="k1", other_agent_api_key="k2")
    async with openai_server([says("x")]) as server, choosing(secrets) as choice:
        base_url = server.http.url("/v1", host="models.example.test")
        for site_id, wish in (("shop", "Be brief."), ("other", "Be kind."), ("shop", "Be brief.")):
            settings = {"type": "llm", "model": "m", "base_url": base_url, "instructions": wish}
            await (await choice.for_site(site(settings, site_id))).answer(turn())
        secrets.values["shop_agent_api_key"] = "k3"
        settings = {"type": "llm", "model": "m", "base_url": base_url}
        await (await choice.for_site(site(settings))).answer(turn())
        keys = [received.headers["authorization"] for received in server.http.received]
        told = [request["messages"][0]["content"] for request in server.requests]
    assert keys == ["Bearer k1", "Bearer k2", "Bearer k1", "Bearer k3"]
    assert [text.rsplit("\n", 1)[1] for text in told[:3]] == ["Be brief.", "Be kind.", "Be brief."]
    assert "owner's instructions:" not in told[3]


async def test_a_language_model_is_built_once_while_nothing_changes() -> None:
    async with choosing(KnownSecrets(shop_agent_api_key="k")) as choice:
        settings = {"type": "llm", "model": "openai-chat:m"}
        first = await choice.for_site(site(settings))
        assert await choice.for_site(site(settings)) is first
        assert await choice.for_site(site(settings | {"instructions": "Be kind."})) is not first


async def test_d10_a_sites_model_endpoint_is_connected_to_only_where_it_may() -> None:
    async with openai_server([says("stolen")]) as server, choosing(KnownSecrets(), refusing) as choice:
        agent = await choice.for_site(site({"type": "llm", "model": "m", "base_url": server.base_url}))
        with pytest.raises(AgentFailed) as failed:
            await agent.answer(turn())
        assert server.http.connections == 0
    assert failed.value.code == "host_not_allowed"


async def test_a_site_whose_model_cannot_be_built_fails_with_what_is_missing() -> None:
    async with choosing(KnownSecrets()) as choice:
        with pytest.raises(AgentFailed, match="no API key is stored") as failed:
            await choice.for_site(site({"type": "llm", "model": "openai:gpt-5"}))
    assert not failed.value.temporary


async def test_the_operators_python_agent_is_loaded_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pr_choice_bot.py").write_text("async def answer(turn): return 'from the file'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    async with open_client() as client:
        spec = parse_agent_spec("python:pr_choice_bot:answer")
        agent = operator_agent(spec, OperatorOptions(), client, SystemClock(), PUBLIC)
        assert (await agent.answer(turn())).text == "from the file"


async def test_the_operators_language_model_takes_key_endpoint_and_instructions() -> None:
    async with openai_server([says("x")]) as server, open_client() as client:
        options = OperatorOptions(api_key="k", base_url=server.base_url, instructions="Be kind.")
        agent = operator_agent(parse_agent_spec("llm:openai:m"), options, client, SystemClock(), PUBLIC)
        await agent.answer(turn())
        assert server.http.received[0].headers["authorization"] == "Bearer k"
        assert server.requests[0]["model"] == "m"
        assert server.requests[0]["messages"][0]["content"].endswith("Be kind.")


async def test_without_the_libraries_of_llm_both_are_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("postroom.agents.llm", "postroom.agents.llm_model"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    told = r"pip install 'postroom\[llm\]'"
    async with choosing(KnownSecrets(shop_agent_api_key="k")) as choice, open_client() as client:
        with pytest.raises(AgentFailed, match=told):
            await choice.for_site(site({"type": "llm", "model": "openai:gpt-5"}))
        with pytest.raises(InvalidInput, match=told):
            operator_agent(parse_agent_spec("llm:test"), OperatorOptions(), client, SystemClock(), PUBLIC)


def test_secrets_do_not_show_in_options() -> None:
    assert "hidden" not in repr(OperatorOptions(secret="hidden", api_key="hidden"))
