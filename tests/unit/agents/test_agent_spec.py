"""POSTROOM_AGENT as the operator writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.agents.spec import (
    AcknowledgeSpec,
    HttpSpec,
    LlmSpec,
    OperatorSpec,
    PythonSpec,
    parse_agent_spec,
)
from postroom.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("acknowledge", AcknowledgeSpec()),
        (" acknowledge\n", AcknowledgeSpec()),
        ("python:bot:answer", PythonSpec("bot:answer")),
        ("python:shop.mail.bot:Desk.answer", PythonSpec("shop.mail.bot:Desk.answer")),
        ("http:https://agent.example.com/turns?a=b:c", HttpSpec("https://agent.example.com/turns?a=b:c")),
        ("http:http://127.0.0.1:9000", HttpSpec("http://127.0.0.1:9000")),
        ("http://[::1]:9000/", HttpSpec("http://[::1]:9000/")),
        ("https://agent.example.com/turns", HttpSpec("https://agent.example.com/turns")),
        ("llm:openai:gpt-5", LlmSpec("openai:gpt-5")),
        ("llm:llama3.1:8b-instruct", LlmSpec("llama3.1:8b-instruct")),
        ("llm:test", LlmSpec("test")),
    ],
)
def test_every_kind_is_understood(text: str, spec: OperatorSpec) -> None:
    assert parse_agent_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "acknowledge, python:pkg.module:function, http:URL or llm:provider:model"),
        ("acknowledged", "acknowledge, python:"),
        ("acknowledge:x", "acknowledge, python:"),
        ("Python:bot:answer", "acknowledge, python:"),
        ("python:bot", "as in python:bot:answer"),
        ("python:bot.py:answer()", "as in python:bot:answer"),
        ("python:./bot:answer", "as in python:bot:answer"),
        ("python:bot:answer:x", "as in python:bot:answer"),
        ("http:agent.example.com", "as in http:https://"),
        ("http:ftp://agent.example.com", "as in http:https://"),
        ("http:https://", "as in http:https://"),
        ("http:https://agent.example.com:99999/", "as in http:https://"),
        ("http:https://agent.example.com/a b", "as in http:https://"),
        ("http:http://[::1", "as in http:https://"),
        ("https:agent.example.com", "as in http:https://"),
        ("https:https://agent.example.com", "as in http:https://"),
        ("http:https://user:hidden@agent.example.com", "signing secret"),
        ("llm:", "as in llm:openai:gpt-5"),
        ("llm:openai:", "as in llm:openai:gpt-5"),
        ("llm::gpt-5", "as in llm:openai:gpt-5"),
        ("llm:openai:gpt 5", "as in llm:openai:gpt-5"),
    ],
)
def test_what_is_not_understood_gets_a_hint_and_is_not_repeated(text: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_agent_spec(text)
    assert hint in refused.value.text
    assert "hidden" not in refused.value.text


@given(st.text() | st.from_regex(r"(python|http|https|llm|acknowledge):.{0,20}"))
def test_any_text_is_a_spec_or_a_clear_refusal(text: str) -> None:
    try:
        told = ""
        parse_agent_spec(text)
    except InvalidInput as refused:
        told = refused.problems[0].text
    assert told == "" or told.startswith("must")
