"""The HTTP application: routes, errors, limits."""

from functools import cache

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postroom.api import (
    check,
    desk,
    health,
    incoming,
    keys,
    openapi,
    problems,
    reading,
    send,
    sites,
    turns,
    workers,
)
from postroom.api.limits import BodyLimit
from postroom.api.parts import ApiParts


def create_app(parts: ApiParts) -> FastAPI:
    """The API over the given parts."""
    app = FastAPI(
        title="Postroom",
        version="1",
        description=openapi.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts = parts
    for module in (sites, check, send, incoming, reading, desk, turns, keys, workers, health):
        app.include_router(module.router)
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(SafeHeaders)
    build = app.openapi
    app.openapi = cache(lambda: openapi.completed(build()))  # type: ignore[method-assign]  # its own way
    return app


class SafeHeaders:
    """ASGI middleware: headers that keep browsers from guessing, framing and storing."""

    HEADERS = (
        (b"cache-control", b"no-store"),
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
