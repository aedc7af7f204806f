"""Bodies are bounded before they are read."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postroom.api.problems import problem

DEFAULT_LIMIT = 1024 * 1024
# What is larger could not become a message that is sent or taken.
MAIL_LIMIT = 27 * 1024 * 1024
MAIL_PATHS = ("/api/agents/tools/sendEmail", "/email/incoming")


class _BodyTooLarge(Exception):
    """More came than was announced or is taken."""


class BodyLimit:
    """ASGI middleware: 413 for a body over the route's limit, by Content-Length or as it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = limit_for(scope["path"])
        if _announced(scope) > limit:
            await _too_large(limit)(scope, receive, send)
            return
        await self._counted(scope, receive, send, limit)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        taken = 0
        began = False

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _BodyTooLarge
            return message

        async def noting(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, counting, noting)
        except _BodyTooLarge:
            if began:
                raise
            await _too_large(limit)(scope, receive, send)


def limit_for(path: str) -> int:
    """The most bytes that a request to this path may carry."""
    answers = path.startswith("/api/turns/") and path.endswith("/answer")
    return MAIL_LIMIT if answers or path in MAIL_PATHS else DEFAULT_LIMIT


def _announced(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() and len(value) < 16 else 0


def _too_large(limit: int) -> ASGIApp:
    return problem(413, "too_large", f"the body has more than {limit} bytes")
