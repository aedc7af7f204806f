"""What an HTTP agent's response means: an answer, "later", or a failure that knows whether waiting helps."""

import json
from codecs import lookup
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from postroom.core.agent import Answer
from postroom.core.answer import fit, parse_answer
from postroom.core.errors import AgentFailed, InvalidInput

UNREADABLE = "agent_answer_unreadable"
_TEXT = ("text/plain", "text/markdown")


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as read: its status, the header fields that matter, and the body."""

    status: int
    content_type: str = ""
    after: float | None = None
    body: bytes = field(default=b"", repr=False)


def failure(reply: Reply) -> AgentFailed | None:
    """The failure that the status tells; None when the body is the answer or will follow (2xx).

    408, 429 and 5xx are temporary, with the server's own wish for how long.
    """
    status = reply.status
    if 200 <= status < 300:
        return None
    if status == 429:
        return _temporary("agent_throttled", reply)
    if status == 408 or status >= 500:
        return _temporary("agent_unavailable", reply)
    if 300 <= status < 400:
        return AgentFailed(f"the agent answered {status}: redirects are not followed", code="agent_refused")
    return AgentFailed(f"the agent answered {status}", code="agent_refused")


def _temporary(code: str, reply: Reply) -> AgentFailed:
    return AgentFailed(f"the agent answered {reply.status}", code=code, temporary=True, after=reply.after)


def answer_of(reply: Reply) -> Answer:
    """The answer that a 2xx response holds. Raises `AgentFailed` when it cannot be read.

    202 is "later". A body is JSON (`core.answer.parse_answer`), or Markdown as text/plain or text/markdown;
    without a content type it is taken for JSON. No body is no answer.
    """
    if reply.status == 202:
        return Answer.later()
    if not reply.body.strip():
        return fit(Answer(""))
    name = reply.content_type.partition(";")[0].strip().lower() or "application/json"
    if name in _TEXT:
        return fit(Answer(_decoded(reply.body, _charset(reply.content_type))))
    if name == "application/json" or name.endswith("+json"):
        return _from_json(reply.body)
    raise AgentFailed(
        "the agent's answer is neither application/json nor text/plain nor text/markdown", code=UNREADABLE
    )


def _from_json(body: bytes) -> Answer:
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise AgentFailed("the agent's answer is not valid JSON", code=UNREADABLE) from exc
    try:
        return parse_answer(document)
    except InvalidInput as exc:
        raise AgentFailed(f"the agent's answer cannot be used: {exc.text}", code=UNREADABLE) from exc


def _charset(content_type: str) -> str:
    field = Message()
    field["Content-Type"] = content_type
    return field.get_content_charset("utf-8")


def _decoded(body: bytes, charset: str) -> str:
    try:
        codec = lookup(charset).name
        return body.removeprefix(b"\xef\xbb\xbf").decode(codec, "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")
