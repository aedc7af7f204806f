"""The HTTP application: routes, errors, limits."""

from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postroom.api import email, health, incoming, keys, problems, reading, sites, turns
from postroom.api.limits import BodyLimit
from postroom.api.parts import ApiParts

DESCRIPTION = """Postroom gives an AI agent a mailbox: any existing one, over IMAP and SMTP.

Every call needs an API key, as `Authorization: Bearer …` or `x-api-key: …`. Errors are problem documents
(RFC 9457) with a stable `code`, and `errors` with JSON pointers where the input was at fault."""

OPEN = ("/healthz", "/readyz", "/metrics", "/email/incoming")


def create_app(parts: ApiParts) -> FastAPI:
    """The API over the given parts."""
    app = FastAPI(title="Postroom", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.parts = parts
    for module in (sites, email, incoming, reading, turns, keys, health):
        app.include_router(module.router)
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(SafeHeaders)
    build = app.openapi
    app.openapi = lambda: _secured(build())  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


def _secured(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with how to authenticate, on every route that asks for it."""
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["bearer"] = {"type": "http", "scheme": "bearer"}
    schemes["apiKey"] = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    for path, operations in document["paths"].items():
        if path not in OPEN:
            for operation in operations.values():
                operation["security"] = [{"bearer": []}, {"apiKey": []}]
    return document


class SafeHeaders:
    """ASGI middleware: headers that keep browsers from guessing and framing."""

    HEADERS = (
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; add what is missing to the response's headers."""

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in self.HEADERS if name not in given),
                ]
            await send(message)

        await self._app(scope, receive, adding if scope["type"] == "http" else send)
