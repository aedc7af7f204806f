"""Which agent answers for a site: the one its settings name, else the operator's."""

import asyncio
import ssl
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2

from postroom.agents import python
from postroom.agents.acknowledge import AcknowledgeAgent
from postroom.agents.connect import Judge, JudgedTransport, open_client
from postroom.agents.http import HttpAgent
from postroom.agents.spec import AcknowledgeSpec, HttpSpec, LlmSpec, OperatorSpec, PythonSpec
from postroom.core import settings
from postroom.core.agent import Agent
from postroom.core.errors import AgentFailed, invalid
from postroom.core.model import Site
from postroom.core.ports import Clock, Credentials

if TYPE_CHECKING:
    from postroom.agents.llm import LlmAgent

TOKEN_TYPE = "agent"  # noqa: S105 - the type of a secure token, not one
SIGNING_SECRET = "secret"  # noqa: S105 - its identifier
API_KEY = "api_key"
_KEPT = 256
_NO_LLM = "agents of the kind llm need more libraries: pip install 'postroom[llm]'"


@dataclass(frozen=True, slots=True)
class OperatorOptions:
    """POSTROOM_AGENT_SECRET, …_API_KEY, …_BASE_URL and …_INSTRUCTIONS."""

    secret: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    instructions: str | None = None


def operator_agent(
    spec: OperatorSpec, options: OperatorOptions, client: httpx2.AsyncClient, clock: Clock, public_url: str
) -> Agent:
    """The operator's agent. `client` (`connect.open_client()`) is the caller's to close, after the agent's
    last answer. Raises `InvalidInput` saying what is wrong: no such function, provider, key or library."""
    match spec:
        case AcknowledgeSpec():
            return AcknowledgeAgent()
        case PythonSpec(target):
            return python.load(target)
        case HttpSpec(url):
            return HttpAgent(url, client, clock, public_url, secret=options.secret)
        case LlmSpec(model):
            return _operators_llm(model, options, client)


def _operators_llm(model: str, options: OperatorOptions, client: httpx2.AsyncClient) -> "LlmAgent":
    try:
        from postroom.agents.llm import LlmAgent
        from postroom.agents.llm_model import operator_model
    except ImportError as exc:
        raise invalid("", _NO_LLM) from exc
    made = operator_model(model, api_key=options.api_key, base_url=options.base_url, client=client)
    return LlmAgent(made, options.instructions)


@dataclass(frozen=True, slots=True)
class _LlmKey:
    site_id: str
    agent: settings.LlmAgent
    api_key: str | None = field(repr=False)


class AgentChoice:
    """`core.ports.Agents`. URLs and endpoints of sites are connected to only as `judge` allows (D10).

    `tls`: whom agents of sites are verified against, the system's authorities when None. `public_url`: where
    our API is reached, for the URLs in a turn.
    """

    def __init__(
        self,
        operator_agent: Agent,
        credentials: Credentials,
        judge: Judge,
        clock: Clock,
        public_url: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._operator_agent = operator_agent
        self._credentials = credentials
        self._clock = clock
        self._public_url = public_url
        self._transport = JudgedTransport(judge, tls)
        self._client = open_client(self._transport)
        self._llm: OrderedDict[_LlmKey, LlmAgent] = OrderedDict()

    async def for_site(self, site: Site) -> Agent:
        """The agent, with the site's present secrets. Raises `AgentFailed` when it cannot be built."""
        match site.settings.agent:
            case None:
                return self._operator_agent
            case settings.AcknowledgeAgent():
                return AcknowledgeAgent()
            case settings.HttpAgent(url=url):
                secret = await self._credentials.find(site.id, TOKEN_TYPE, SIGNING_SECRET)
                return HttpAgent(url, self._client, self._clock, self._public_url, secret=secret)
            case settings.LlmAgent() as agent:
                api_key = await self._credentials.find(site.id, TOKEN_TYPE, API_KEY)
                return await self._llm_agent(_LlmKey(site.id, agent, api_key))

    async def close(self) -> None:
        """Close the connections to agents of sites."""
        await self._client.aclose()

    async def _llm_agent(self, key: _LlmKey) -> "LlmAgent":
        if key not in self._llm:
            # In a thread: the first one imports the providers' libraries, which takes seconds.
            self._llm[key] = await asyncio.to_thread(_site_llm, key, self._transport)
        self._llm.move_to_end(key)
        while len(self._llm) > _KEPT:
            self._llm.popitem(last=False)
        return self._llm[key]


def _site_llm(key: _LlmKey, transport: httpx2.AsyncBaseTransport) -> "LlmAgent":
    try:
        from postroom.agents.llm import LlmAgent
        from postroom.agents.llm_model import tenant_model
    except ImportError as exc:
        raise AgentFailed(_NO_LLM, code="agent_not_configured") from exc
    agent = key.agent
    model = tenant_model(agent.model, api_key=key.api_key, base_url=agent.base_url, transport=transport)
    return LlmAgent(model, agent.instructions)
