"""JSON bodies read strictly: UTF-8, an object, no doubled names, no NaN, bounded depth; then checked against
a model. What is said of a fault never repeats the input."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from postroom.core.errors import InvalidInput, PostroomError, invalid
from postroom.core.settings import pointer, problems_of

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
Document = dict[str, Any]

OFF_LOOP_BYTES = 65_536
DEEPEST = 50
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class UnsupportedMediaType(PostroomError):
    """The body is not in a form that is taken here."""

    code = "unsupported_media_type"
    status = 415
    temporary = False


async def json_object(request: Request) -> Document:
    """The body as a JSON object whose texts can be stored.

    Raises `InvalidInput` or `UnsupportedMediaType`.
    """
    if not is_json(media_type(request)):
        raise UnsupportedMediaType("the body must be application/json")
    return await beside(parse_object, await request.body())


async def json_model(request: Request, model: type[M]) -> M:
    """The body as a checked model."""
    return checked(model, await json_object(request))


async def beside(work: Callable[[bytes], T], raw: bytes) -> T:
    """What `work` gives for the bytes; many of them are worked on in a thread, so that the loop goes on."""
    return await asyncio.to_thread(work, raw) if len(raw) > OFF_LOOP_BYTES else work(raw)


def media_type(request: Request) -> str:
    """The media type of the body, in lower case; JSON when none is named."""
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Whether a media type is JSON (RFC 6839 section 3.1)."""
    return kind == "application/json" or kind.endswith("+json")


def parse_object(raw: bytes) -> Document:
    """A JSON object whose texts can be stored: at most 50 deep, no NUL, no lone surrogate.

    Raises `InvalidInput`.
    """
    document = read_object(raw)
    for place, text in _texts(document):
        if not text.isascii() or "\x00" in text:
            check_text(pointer(place), text)
    return document


def check_text(where: str, text: str) -> None:
    """Raises `InvalidInput` at the pointer for what no database and no mail can hold."""
    if _UNSTORABLE.search(text):
        raise invalid(where, "must not hold NUL or lone surrogates")


def read_object(raw: bytes) -> Document:
    """A JSON object (RFC 8259) from UTF-8 bytes. Raises `InvalidInput`."""
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as exc:
        raise invalid("", "the body is not valid JSON in UTF-8") from exc
    if not isinstance(document, dict):
        raise invalid("", "the body must be a JSON object")
    return document


def checked(model: type[M], document: Document) -> M:
    """The document as a model. Raises `InvalidInput` with a JSON pointer a fault."""
    try:
        return model.model_validate(document)
    except ValidationError as exc:
        raise InvalidInput(problems_of(exc)) from exc


def _texts(document: Document) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text and every name with its place; iterative, as the depth is a stranger's."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while waiting:
        place, value = waiting.pop()
        if len(place) > DEEPEST:
            raise invalid("", f"the body is more than {DEEPEST} deep")
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, dict):
            yield from ((place, name) for name in value)
            waiting.extend(((*place, name), item) for name, item in value.items())
        elif isinstance(value, list):
            waiting.extend(((*place, index), item) for index, item in enumerate(value))


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise invalid("", "a name stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    del name
    raise invalid("", "NaN and Infinity are not JSON")
