"""Errors as problem documents (RFC 9457): a stable code, a text for people, and JSON pointers to faults."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from postroom.core.errors import InvalidInput, PostroomError, Problem, Unauthorized
from postroom.core.settings import pointer

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100
LONGEST_DETAIL = 1000


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Iterable[Problem] = (),
    hint: str = "",
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem document. `errors`: each fault of the input with its pointer, never with the value."""
    body: dict[str, Any] = {
        "type": f"urn:postroom:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail if len(detail) <= LONGEST_DETAIL else f"{detail[:LONGEST_DETAIL]}…",
    }
    if hint:
        body["hint"] = hint
    listed = [{"pointer": e.pointer, "detail": e.text} for e in islice(errors, MOST_ERRORS)]
    if listed:
        body["errors"] = listed
    return JSONResponse(body, status, dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.add_exception_handler(PostroomError, _ours)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PostroomError)
    if error.status >= 500:
        log.warning("api.failed", code=error.code, path=_route(request))
    errors = error.problems if isinstance(error, InvalidInput) else ()
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else None
    return problem(error.status, error.code, error.text, errors=errors, hint=error.hint, headers=headers)


async def _validation(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestValidationError)
    faults = [_fault(entry) for entry in error.errors()]
    detail = "; ".join(f"{f.pointer or '/'}: {f.text}" for f in faults)
    return problem(422, "invalid_input", detail, errors=faults)


def _fault(entry: Mapping[str, Any]) -> Problem:
    """A fault of a query parameter; bodies are read and judged by `body`."""
    return Problem(pointer(tuple(entry["loc"])[1:]), str(entry["msg"]))


async def _http(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    return problem(status, code, status.description or status.phrase, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("api.unexpected", path=_route(request), exc_info=error)
    return problem(500, "internal_error", "an internal fault; it was logged")


def _route(request: Request) -> str:
    # The template, not the path: paths hold identifiers that callers made up.
    return getattr(request.scope.get("route"), "path", "")
