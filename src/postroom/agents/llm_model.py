"""From settings to a model: any provider for the operator, for tenants those that we can hold to our rules.

A tenant's model gets the tenant's key and nothing of the operator's: the providers' libraries read keys, base
URLs and extra header fields from the environment, so each of these is set here, and a hook lets through only
the header fields that a call needs.
"""

from collections.abc import Mapping
from typing import Any

import httpx2
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider_class

from postroom.agents.connect import open_client
from postroom.core.errors import AgentFailed, invalid

_COMPATIBLE = {
    "openai-chat": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "mistral": "https://api.mistral.ai/v1",
    "groq": "https://api.groq.com/openai/v1",
    "deepseek": "https://api.deepseek.com",
    "together": "https://api.together.xyz/v1",
    "xai": "https://api.x.ai/v1",
}
"""Providers that speak the OpenAI chat protocol, with where they do."""
_TENANTS = ("openai", "anthropic", "google", *_COMPATIBLE)
_TAKES_OUR_CLIENT = ("openai", "openai-chat", "openai-responses", "anthropic", "google")
_NEEDED = frozenset(
    {
        *("host", "connection", "user-agent", "accept", "accept-encoding"),
        *("content-type", "content-length", "transfer-encoding", "anthropic-version", "anthropic-beta"),
    }
)


def operator_model(
    model: str, *, api_key: str | None, base_url: str | None, client: httpx2.AsyncClient
) -> Model:
    """The operator's model: `provider:model`, or with `base_url` any model of an OpenAI-compatible endpoint.

    Without `api_key` the provider's own environment variable counts. Raises `InvalidInput` (pointer "").
    """
    if base_url:
        return _compatible_model(model, base_url, api_key, client)
    try:
        return infer_model(model, lambda name: _operators_provider(name, api_key, client))
    except (UserError, ValueError) as exc:
        raise invalid("", f"the model cannot be used: {exc}") from exc
    except ImportError as exc:
        raise invalid("", "the model's provider needs a library that is not installed") from exc


def tenant_model(
    model: str, *, api_key: str | None, base_url: str | None, transport: httpx2.AsyncBaseTransport
) -> Model:
    """A site's model, reached through `transport` only. Raises `AgentFailed` naming what is missing."""
    if base_url:
        return _sealed_compatible(model, base_url, api_key, transport)
    provider, _, name = model.partition(":")
    if provider not in _TENANTS or not name:
        told = (
            f"the model must be written provider:model with one of {', '.join(_TENANTS)}, or have a base_url"
        )
        raise AgentFailed(told, code="agent_not_configured")
    if not api_key:
        raise AgentFailed(
            'no API key is stored: store one as a secure token (token_type "agent", identifier "api_key")',
            code="agent_not_configured",
        )
    if provider in _COMPATIBLE:
        return _sealed_compatible(name, _COMPATIBLE[provider], api_key, transport)
    native = {"openai": _sealed_openai, "anthropic": _sealed_anthropic, "google": _sealed_google}
    return native[provider](name, api_key, transport)


def _operators_provider(name: str, api_key: str | None, client: httpx2.AsyncClient) -> Provider[Any]:
    settings: dict[str, Any] = {"api_key": api_key} if api_key else {}
    if name in _TAKES_OUR_CLIENT:
        settings["http_client"] = client
    return infer_provider_class(name)(**settings)


def _compatible_model(model: str, base_url: str, api_key: str | None, client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=base_url, api_key=api_key, http_client=client)
    return OpenAIChatModel(_bare(model), provider=provider)


def _bare(model: str) -> str:
    """The name that the endpoint knows; other colons belong to it, as in `llama3.1:8b`."""
    return model.removeprefix("openai:").removeprefix("openai-chat:")


def _sealed_compatible(
    model: str, base_url: str, api_key: str | None, transport: httpx2.AsyncBaseTransport
) -> Model:
    from pydantic_ai.models.openai import OpenAIChatModel

    return OpenAIChatModel(_bare(model), provider=_sealed_openai_provider(base_url, api_key, transport))


def _sealed_openai(model: str, api_key: str, transport: httpx2.AsyncBaseTransport) -> Model:
    from pydantic_ai.models.openai import OpenAIResponsesModel

    provider = _sealed_openai_provider("https://api.openai.com/v1", api_key, transport)
    return OpenAIResponsesModel(model, provider=provider)


def _sealed_openai_provider(
    base_url: str, api_key: str | None, transport: httpx2.AsyncBaseTransport
) -> Provider[Any]:
    from pydantic_ai.providers.openai import OpenAIProvider

    # The library insists on a key; an endpoint without one gets no Authorization field (see the hook).
    key_fields = {"authorization": f"Bearer {api_key}"} if api_key else {}
    return OpenAIProvider(
        base_url=base_url, api_key=api_key or "none", http_client=_sealed_client(transport, key_fields)
    )


def _sealed_anthropic(model: str, api_key: str, transport: httpx2.AsyncBaseTransport) -> Model:
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = open_client(transport)
    provider = AnthropicProvider(api_key=api_key, base_url="https://api.anthropic.com", http_client=client)
    _seal(client, provider.client.auth_headers)
    return AnthropicModel(model, provider=provider)


def _sealed_google(model: str, api_key: str, transport: httpx2.AsyncBaseTransport) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(
        api_key=api_key,
        base_url="https://generativelanguage.googleapis.com",
        http_client=_sealed_client(transport, {"x-goog-api-key": api_key}),
    )
    return GoogleModel(model, provider=provider)


def _sealed_client(transport: httpx2.AsyncBaseTransport, key_fields: Mapping[str, str]) -> httpx2.AsyncClient:
    client = open_client(transport)
    _seal(client, key_fields)
    return client


def _seal(client: httpx2.AsyncClient, key_fields: Mapping[str, str]) -> None:
    async def only_needed_fields(request: httpx2.Request) -> None:
        for name in set(request.headers) - _NEEDED:
            del request.headers[name]
        request.headers.update(key_fields)

    client.event_hooks = {"request": [only_needed_fields]}
