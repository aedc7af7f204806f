"""JSON bodies read strictly: UTF-8, an object, no doubled names, no NaN; then checked against a model."""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from postroom.core.errors import InvalidInput, PostroomError, invalid
from postroom.core.settings import problems_of

M = TypeVar("M", bound=BaseModel)


class UnsupportedMediaType(PostroomError):
    """The body is not in a form that is taken here."""

    code = "unsupported_media_type"
    status = 415
    temporary = False


async def json_object(request: Request) -> tuple[dict[str, Any], bytes]:
    """The body as a JSON object, and its bytes. Raises `InvalidInput` or `UnsupportedMediaType`."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType("the body must be application/json")
    raw = await request.body()
    return parse_object(raw), raw


def parse_object(raw: bytes) -> dict[str, Any]:
    """A JSON object (RFC 8259) from UTF-8 bytes. Raises `InvalidInput` that never repeats the input."""
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as exc:
        raise invalid("", "the body is not valid JSON in UTF-8") from exc
    if not isinstance(document, dict):
        raise invalid("", "the body must be a JSON object")
    return document


async def json_model(request: Request, model: type[M]) -> tuple[M, bytes]:
    """The body as a checked model, and its bytes."""
    document, raw = await json_object(request)
    return checked(model, document), raw


def checked(model: type[M], document: dict[str, Any]) -> M:
    """The document as a model. Raises `InvalidInput` with a JSON pointer a fault."""
    try:
        return model.model_validate(document)
    except ValidationError as exc:
        raise InvalidInput(problems_of(exc)) from exc


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise invalid("", "a name stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    del name
    raise invalid("", "NaN and Infinity are not JSON")


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI description of a JSON body with this model, for routes that read it themselves."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
