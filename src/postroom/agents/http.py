"""An agent behind a URL: the turn goes there as signed JSON, the answer comes back or follows later."""

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

import httpx2

from postroom.agents.connect import MAX_RESPONSE
from postroom.agents.http_reply import Reply, answer_of, failure
from postroom.agents.http_turn import turn_body
from postroom.agents.retry_after import retry_after
from postroom.core.agent import Answer, Turn
from postroom.core.errors import AgentFailed, InvalidInput, MailServerError, PostroomError
from postroom.core.ports import Clock
from postroom.core.webhooks import signed_headers

DEADLINE = 120.0
_LARGE = 64 * 1024
_T = TypeVar("_T")


class HttpAgent:
    """POSTs each turn to `url` through `client` (which decides where it may connect).

    With a `secret` the call is signed by Standard Webhooks, its `webhook-id` being the turn's id.
    `public_url`: where our API is reached, for the URLs in the turn. `deadline`: seconds for the whole call.
    `limit`: bytes of the longest answer taken.
    """

    name = "http"
    tries = 1

    def __init__(
        self,
        url: str,
        client: httpx2.AsyncClient,
        clock: Clock,
        public_url: str,
        *,
        secret: str | None = None,
        deadline: float = DEADLINE,
        limit: int = MAX_RESPONSE,
    ) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._public_url = public_url
        self._secret = secret
        self._deadline = deadline
        self._limit = limit

    async def answer(self, turn: Turn) -> Answer:
        """The answer in the response, or `Answer.later()` on 202. Raises `AgentFailed`."""
        try:
            async with asyncio.timeout(self._deadline):
                body = await _beside(_length(turn), lambda: turn_body(turn, self._public_url))
                reply = await self._post(body, self._headers(turn, body))
        except AgentFailed:
            raise
        except (PostroomError, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as exc:
            raise unreachable(exc) from exc
        if (failed := failure(reply)) is not None:
            raise failed
        return await _beside(len(reply.body), lambda: answer_of(reply))

    def _headers(self, turn: Turn, body: bytes) -> dict[str, str]:
        plain = {
            "content-type": "application/json",
            "accept": "application/json, text/markdown, text/plain",
            "accept-encoding": "identity",
            "user-agent": "postroom",
        }
        if self._secret is None:
            return plain
        return plain | signed_headers(self._secret, turn.id, self._clock.now(), body)

    async def _post(self, body: bytes, headers: dict[str, str]) -> Reply:
        if (httpx2.URL(self._url).port or 0) > 65535:
            raise httpx2.InvalidURL("no such port")
        async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
            reads_body = 200 <= response.status_code < 300 and response.status_code != 202
            return Reply(
                response.status_code,
                response.headers.get("content-type", ""),
                retry_after(response.headers.get("retry-after"), self._clock.now()),
                await self._body(response) if reads_body else b"",
            )

    async def _body(self, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise AgentFailed(
                "the agent's answer is encoded although plain was asked for", code="agent_refused"
            )
        parts: list[bytes] = []
        left = self._limit
        async for part in response.aiter_raw():
            left -= len(part)
            if left < 0:
                told = f"the agent's answer is larger than {self._limit // 1024} KiB"
                raise AgentFailed(told, code="agent_answer_too_large")
            parts.append(part)
        return b"".join(parts)


def unreachable(exc: BaseException) -> AgentFailed:
    """Why no response came, as a failure; all but what is set wrongly is temporary."""
    if isinstance(exc, InvalidInput):
        return AgentFailed("the agent's signing secret cannot be used", code="agent_not_configured")
    if isinstance(exc, MailServerError):
        told = "the agent's host cannot be resolved" if exc.temporary else "the agent's host is not allowed"
        return AgentFailed(told, code=exc.code, temporary=exc.temporary, after=exc.after)
    if isinstance(exc, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return AgentFailed("the agent's URL cannot be used", code="agent_not_configured")
    if isinstance(exc, TimeoutError | httpx2.TimeoutException):
        return AgentFailed("the agent did not answer in time", code="agent_timeout", temporary=True)
    if _has_cause(exc, ssl.SSLCertVerificationError):
        told = "the agent's certificate was not accepted"
        return AgentFailed(told, code="agent_tls_failed", temporary=True)
    return AgentFailed("the agent could not be reached", code="agent_unreachable", temporary=True)


def _has_cause(exc: BaseException | None, kind: type[BaseException]) -> bool:
    while exc is not None:
        if isinstance(exc, kind):
            return True
        exc = exc.__cause__ or exc.__context__
    return False


def _length(turn: Turn) -> int:
    html = len(turn.message.html or "")
    return html + len(turn.message.text) * 2 + sum(len(entry.text) for entry in turn.history)


async def _beside(size: int, work: Callable[[], _T]) -> _T:
    """Do `work` in a thread when what it works on is large, so that the loop goes on."""
    return await asyncio.to_thread(work) if size > _LARGE else work()
