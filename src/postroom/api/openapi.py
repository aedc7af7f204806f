"""The OpenAPI document: request bodies (which the routes read themselves), security, problems."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from postroom.api import models, shown

DESCRIPTION = """Postroom gives an AI agent a mailbox: any existing one, over IMAP and SMTP.

Every call needs an API key, as `Authorization: Bearer …` or `x-api-key: …`. Errors are problem documents
(RFC 9457) with a stable `code`, and `errors` with JSON pointers where the input was at fault."""

Document = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"
BODIES = (
    models.EncryptRequest,
    models.CheckRequest,
    models.SendRequest,
    models.IncomingRequest,
    models.KeyRequest,
)
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "An API key."},
    "incomingBearer": {"type": "http", "scheme": "bearer", "description": "The incoming token."},
    "incomingBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "The incoming token as the password, with any user name.",
    },
    "incomingSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "A Standard Webhooks signature with the incoming token as the secret.",
    },
    "turnToken": {"type": "http", "scheme": "bearer", "description": "The token of the turn."},
}
WITH_KEY: list[Document] = [{"bearer": []}, {"apiKey": []}]
SECURITY: dict[str, list[Document]] = {
    "/healthz": [],
    "/readyz": [],
    "/metrics": [],
    "/email/incoming": [{"incomingBearer": []}, {"incomingBasic": []}, {"incomingSignature": []}],
    "/api/turns/{turn_id}/answer": [{"turnToken": []}],
    "/api/attachments/{attachment_id}": [*WITH_KEY, {"turnToken": []}],
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key within 24 h gives the same answer, and nothing happens twice.",
}
FORM = {
    "type": "object",
    "description": "The same fields as in JSON: lists by repeating a field, every file an attachment.",
    "properties": {
        "site_id": {"type": "string"},
        "to": {"type": "string"},
        "subject": {"type": "string"},
        "content": {"type": "string"},
        "attachments": {"type": "array", "items": {"type": "string", "format": "binary"}},
    },
}
SETTINGS_PATCH = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "object"}, "example": models.SETTINGS_EXAMPLE}
            for kind in ("application/json", "application/merge-patch+json")
        },
    }
}
TURN_ANSWER = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "answer": {
                        "value": {
                            "text": "Markdown",
                            "attachments": [
                                {"filename": "a.txt", "content_type": "text/plain", "content": "aGVsbG8="}
                            ],
                        }
                    },
                    "nothing": {"value": {"nothing": "why no mail goes out"}},
                },
            }
        },
    }
}


def takes(model: type[BaseModel]) -> Document:
    """The description of a JSON body of this model, one of `BODIES`."""
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def takes_once(model: type[BaseModel], form: Document | None = None) -> Document:
    """The same for a route that heeds `Idempotency-Key`; `form`: the schema of multipart/form-data."""
    body = takes(model)
    if form is not None:
        body["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return {**body, "parameters": [IDEMPOTENCY_KEY]}


def gives(model: Any, status: int = 200, text: str = "Done.") -> dict[int | str, Document]:
    """The description of an answer of this model."""
    return {status: {"model": model, "description": text}}


def completed(document: Document) -> Document:
    """FastAPI's document with what it cannot know of routes that read their bodies themselves."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(_schemas())
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = SCHEMES
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = SECURITY.get(path, WITH_KEY)
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _problem()
    return document


def _schemas() -> Document:
    wanted = [(model, "validation") for model in (*BODIES, shown.ShownProblem)]
    _, definitions = models_json_schema(wanted, ref_template=REFERENCE)  # type: ignore[arg-type]  # a literal
    found: Document = definitions["$defs"]
    return found


def _problem() -> Document:
    schema = {"$ref": REFERENCE.format(model=shown.ShownProblem.__name__)}
    return {
        "description": "A problem document.",
        "content": {"application/problem+json": {"schema": schema}},
    }
