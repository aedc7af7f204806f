"""HTTP clients of agents: the operator's, and the tenants', which connects only where it may (D10)."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore2
import httpx2

Judge = Callable[[str, int], Awaitable[str]]
"""Host and port in, the one address to connect to out; raises `MailServerError` (`dns_failed`,
`host_not_allowed`)."""

MAX_RESPONSE = 35 * 1024 * 1024
CONNECT_SECONDS = 10.0
# Shorter than what common servers keep an idle connection for, so that a call does not meet a closed one.
_KEEPALIVE_SECONDS = 4.0
_FOREIGN = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)


def open_client(transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """A client that follows no redirect and keeps no cookie. Total time is the caller's to bound.

    Without `transport` it is the operator's: it goes where it is sent, and by the environment's proxies.
    """
    return httpx2.AsyncClient(
        transport=transport,
        trust_env=transport is None,
        follow_redirects=False,
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=_KEEPALIVE_SECONDS),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


class JudgedTransport(httpx2.AsyncBaseTransport):
    """Connects to exactly the address that `judge` gives for a host, asked once a connection; TLS is
    verified against the host's name. Answers are plain (no content encoding) and at most `limit` bytes.
    """

    def __init__(self, judge: Judge, tls: ssl.SSLContext | None = None, *, limit: int = MAX_RESPONSE) -> None:
        self._limit = limit
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls or httpx2.create_ssl_context(),
            max_connections=None,
            keepalive_expiry=_KEEPALIVE_SECONDS,
            network_backend=_JudgedBackend(judge),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; the errors are httpx2's, and those of the judge."""
        request.headers["accept-encoding"] = "identity"
        url = request.url
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            answer = await self._pool.handle_async_request(asked)
        body = _Body(answer, self._limit)
        response = httpx2.Response(answer.status, headers=answer.headers, stream=body)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await body.aclose()
            raise httpx2.DecodingError("the answer is encoded although plain was asked for", request=request)
        return response

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._pool.aclose()


class _JudgedBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        address = await self._judge(host, port)
        return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response, limit: int) -> None:
        self._answer = answer
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        with _translated():
            async for part in self._answer.aiter_stream():
                size += len(part)
                if size > self._limit:
                    raise httpx2.ReadError("the answer is larger than allowed")
                yield part

    async def aclose(self) -> None:
        with _translated():
            await self._answer.aclose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _FOREIGN as exc:
        # httpx2 names its errors as httpcore2 does.
        raise getattr(httpx2, type(exc).__name__, httpx2.TransportError)(str(exc)) from exc
