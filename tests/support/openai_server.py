"""A server on loopback that speaks the OpenAI chat protocol (POST /v1/chat/completions), as scripted."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.scripted_http import Received, Scripted, ScriptedHttp, json_answer, scripted_http


def says(text: str | None, finish_reason: str = "stop", **message: Any) -> Scripted:
    """A completion with a final text."""
    return _completion({"role": "assistant", "content": text} | message, finish_reason)


def calls(tool: str, arguments: dict[str, Any], text: str | None = None, call_id: str = "call_1") -> Scripted:
    """A completion that calls a tool, with `text` said on the way."""
    call = {"id": call_id, "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    return _completion({"role": "assistant", "content": text, "tool_calls": [call]}, "tool_calls")


def refuses(status: int, told: str = "no", **headers: str) -> Scripted:
    """An error as OpenAI words it."""
    return json_answer({"error": {"message": told, "type": "error", "code": None}}, status, **headers)


def _completion(message: dict[str, Any], finish_reason: str) -> Scripted:
    return json_answer(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1767225600,
            "model": "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }
    )


@dataclass(slots=True)
class OpenAiServer:
    """Gives its answers one after the other, the last one again and again."""

    http: ScriptedHttp
    answers: list[Scripted] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """What a client is given as its base URL."""
        return self.http.url("/v1")

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the calls so far."""
        return [received.json() for received in self.http.received]


@asynccontextmanager
async def openai_server(answers: Sequence[Scripted]) -> AsyncIterator[OpenAiServer]:
    """Serve `answers` on a free port of 127.0.0.1 until the block ends."""
    left = list(answers)

    def respond(request: Received) -> Scripted:
        if (request.method, request.path) != ("POST", "/v1/chat/completions"):
            return refuses(404, "no such endpoint")
        return left.pop(0) if len(left) > 1 else left[0]

    async with scripted_http(respond) as http:
        yield OpenAiServer(http, left)
