"""Answers on their way in: the JSON form (product.md C) becomes an `Answer`, and every answer is made fit."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from postroom.core.agent import Answer, Attachment
from postroom.core.errors import InvalidInput, invalid
from postroom.core.settings import problems_of

EMPTY = "empty_answer"
MAX_REASON = 1000


def parse_answer(document: object) -> Answer:
    """The answer that a JSON document holds: `{"text", "attachments": [{"filename", "content_type",
    "content" (base64)}]}` or `{"nothing": "reason"}`; other fields are ignored.

    Raises `InvalidInput` with a JSON pointer a fault, and never with what was written there.
    """
    if not isinstance(document, Mapping):
        raise invalid("", 'must be an object with "text" or "nothing"')
    if ("text" in document) == ("nothing" in document):
        raise invalid("", 'must have "text" or "nothing", and not both')
    try:
        return _nothing(document) if "nothing" in document else _text(document)
    except ValidationError as exc:
        raise InvalidInput(problems_of(exc)) from exc


def fit(answer: Answer) -> Answer:
    """The same answer with text that can be written down (no NUL, no lone surrogate); when there is neither
    text nor a file in it, `Answer.nothing("empty_answer")`."""
    if answer.kind != "text":
        return replace(answer, reason=_writable(answer.reason)[:MAX_REASON])
    text = _writable(answer.text)
    if not text.strip() and not answer.attachments:
        return Answer.nothing(EMPTY)
    return replace(answer, text=text)


def _writable(text: str) -> str:
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\x00", "")


def _base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be base64 text")
    try:
        return b64decode("".join(value.split()), validate=True)
    except (Base64Error, ValueError) as exc:
        raise ValueError("must be base64") from exc


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _File(_Strict):
    filename: Annotated[
        str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f\x85\u2028\u2029]+$")
    ]
    content_type: (
        Annotated[str, Field(max_length=255, pattern=r"^[\w.+!#$&^-]+/[\w.+!#$&^-]+( *;[ -~]*)?$")] | None
    ) = None
    content: Annotated[bytes, BeforeValidator(_base64)]


class _TextAnswer(_Strict):
    text: str
    attachments: Annotated[list[_File], Field(max_length=100)] = []


class _NoAnswer(_Strict):
    nothing: Annotated[str, Field(min_length=1)]


def _nothing(document: Mapping[str, Any]) -> Answer:
    return fit(Answer.nothing(_NoAnswer.model_validate(document).nothing))


def _text(document: Mapping[str, Any]) -> Answer:
    read = _TextAnswer.model_validate(document)
    files = [Attachment(f.filename, f.content, f.content_type) for f in read.attachments]
    return fit(Answer(read.text, files))
