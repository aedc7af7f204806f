"""What the operator writes in POSTROOM_AGENT, as a value."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from postroom.core.errors import InvalidInput, invalid


@dataclass(frozen=True, slots=True)
class AcknowledgeSpec:
    """`acknowledge`"""


@dataclass(frozen=True, slots=True)
class PythonSpec:
    """`python:pkg.module:function`; `target` is what follows the first colon."""

    target: str


@dataclass(frozen=True, slots=True)
class HttpSpec:
    """`http:URL`"""

    url: str


@dataclass(frozen=True, slots=True)
class LlmSpec:
    """`llm:provider:model`, or `llm:model` where a base URL says whom to ask."""

    model: str


OperatorSpec = AcknowledgeSpec | PythonSpec | HttpSpec | LlmSpec

_KINDS = "acknowledge, python:pkg.module:function, http:URL or llm:provider:model"


def parse_agent_spec(text: str) -> OperatorSpec:
    """The operator's agent. Raises `InvalidInput` (pointer "") with a hint; the value is not repeated."""
    kind, _, rest = text.strip().partition(":")
    if kind == "acknowledge" and not rest:
        return AcknowledgeSpec()
    if kind == "python":
        return PythonSpec(_target(rest))
    if kind in ("http", "https"):
        return HttpSpec(_url(kind, rest))
    if kind == "llm":
        return LlmSpec(_model(rest))
    raise invalid("", f"must be {_KINDS}")


def _target(rest: str) -> str:
    module, _, function = rest.partition(":")
    parts = [*module.split("."), *function.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise invalid("", "must name a module and an async function in it, as in python:bot:answer")
    return rest


def _url(kind: str, rest: str) -> str:
    # A bare URL ("https://…") says as clearly what is meant as "http:https://…" does.
    url = f"{kind}:{rest}" if rest.startswith("//") else rest
    if kind == "https" and url == rest:
        raise _no_url()
    try:
        parts = urlsplit(url)
        found = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError as exc:
        raise _no_url() from exc
    if not found or any(ch <= " " or ch == "\x7f" for ch in url):
        raise _no_url()
    if parts.username or parts.password:
        raise invalid("", "must not hold a user name or password: use the signing secret instead")
    return url


def _no_url() -> InvalidInput:
    return invalid(
        "", "must hold an http or https URL with a host, as in http:https://agent.example.com/turns"
    )


def _model(rest: str) -> str:
    if not rest or rest.startswith(":") or rest.endswith(":") or any(ch <= " " for ch in rest):
        raise invalid("", "must name a provider and a model, as in llm:openai:gpt-5")
    return rest
