"""The OpenAPI document: sound in itself, and true of what the service answers."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from tests.scenario.conftest import INCOMING_TOKEN, in_state, post_mail
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.served import Served

METHODS = {"get", "put", "post", "delete", "patch"}
WITHOUT_BODY = ("resume", "retry", "drop", "resend", "close")
OPEN = {"/healthz", "/readyz", "/metrics"}


@pytest.fixture(scope="module")
def document(service: Served) -> dict[str, Any]:
    with service.client(None) as nobody:
        answer = nobody.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield path, method, operation


def inside(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    yield at, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from inside(item, f"{at}/{name}")


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """Checks against a schema of the document, whose references it resolves."""
    return Draft202012Validator({**schema, "components": document["components"]})


def test_the_document_is_whole(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert document["info"]["title"] == "Postroom"
    schemes = document["components"]["securitySchemes"]
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["responses"], where
        assert "default" in operation["responses"], where
        for requirement in operation["security"]:
            assert set(requirement) <= set(schemes), where
        assert bool(operation["security"]) == (path not in OPEN), where
        given = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert given == set(re.findall(r"\{(\w+)\}", path)), where
        if method in ("post", "patch") and not path.endswith(WITHOUT_BODY):
            assert operation["requestBody"]["content"], where


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = [value for at, value in inside(document) if at.endswith("/$ref")]
    assert references
    for reference in references:
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_every_schema_is_a_schema_and_every_example_fits_its_own(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        for example in schema.get("examples", []):
            assert list(validator(document, schema).iter_errors(example)) == [], name


def test_the_send_schema_wants_one_name_of_each_pair(document: dict[str, Any]) -> None:
    fits = validator(document, document["components"]["schemas"]["SendRequest"]).is_valid
    rest = {"site_id": "a", "subject": "s"}
    assert fits({**rest, "to": "a@b.c", "content": "x"})
    assert fits({**rest, "email": ["a@b.c"], "message": "x"})
    assert not fits({**rest, "to": "a@b.c", "email": "a@b.c", "content": "x"})
    assert not fits({**rest, "content": "x"})
    assert not fits({**rest, "to": "a@b.c", "content": "x", "surprise": 1})


def checked(document: dict[str, Any], path: str, method: str, answer: httpx2.Response) -> Any:
    """The body of an answer, once it is as the document says."""
    responses = document["paths"][path][method]["responses"]
    told = responses.get(str(answer.status_code)) or responses["default"]
    content = answer.headers["content-type"].partition(";")[0]
    schema = told["content"][content]["schema"]
    errors = [error.message for error in validator(document, schema).iter_errors(answer.json())]
    assert errors == [], (method, path, answer.status_code)
    return answer.json()


def test_answers_are_as_the_document_says(
    document: dict[str, Any], admin: httpx2.Client, sender: str, smtp: ScriptedSmtp
) -> None:
    post_mail(admin, sender, message_id=f"<openapi@{sender}>")
    (message,) = in_state(admin, sender, "answered")
    page = admin.get(f"/api/sites/{sender}/events", params={"type": "message.answered"}).json()
    ids = {
        "site_id": sender,
        "thread_id": message["thread_id"],
        "message_id": message["id"],
        "submission_id": message["answered_by"],
        "turn_id": page["items"][0]["turn_id"],
    }
    seen = 0
    for path, method, operation in operations(document):
        names = re.findall(r"\{(\w+)\}", path)
        json_answer = "application/json" in operation["responses"].get("200", {}).get("content", {})
        if method != "get" or not json_answer or not set(names) <= set(ids):
            continue
        answer = admin.get(path.format(**ids))
        assert answer.status_code == 200
        checked(document, path, method, answer)
        seen += 1
    assert seen >= 15


def test_answers_to_writes_are_as_the_document_says(
    document: dict[str, Any], admin: httpx2.Client, service: Served, sender: str, smtp: ScriptedSmtp
) -> None:
    def post(path: str, body: dict[str, Any], status: int, **headers: str) -> Any:
        answer = admin.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return checked(document, path, "post", answer)

    smtp.on("rcpt", ["250 ok", "550 no", "451 later"])
    mail = {"site_id": sender, "to": "a@example.com", "subject": "s", "content": "c"}
    for status in (201, 502, 202, 422):
        post("/api/agents/tools/sendEmail", mail if status != 422 else mail | {"to": "x"}, status)
    token = {"site_id": sender, "token_type": "x", "identifier": "y", "value": "z"}
    post("/api/secure-tokens/encrypt", token, 200)
    post("/api/secure-tokens/encrypt", token | {"site_id": ""}, 422)
    post("/api/agents/email/check", {"site_id": sender}, 200)
    post("/api/agents/email/check", {"site_id": "nobody"}, 404)
    post("/api/keys", {"site_id": sender}, 201)
    incoming = {"from_address": "a@b.org", "to_address": "cleo@yourdomain.com", "body": "x"}
    post("/email/incoming", incoming, 202, Authorization=f"Bearer {INCOMING_TOKEN}")
    post("/email/incoming", incoming, 401, Authorization="Bearer wrong")
    patched = admin.patch(f"/api/sites/{sender}/settings", json={"quote": True})
    checked(document, "/api/sites/{site_id}/settings", "patch", patched)


def test_the_document_is_the_same_every_time_and_holds_no_secret(
    document: dict[str, Any], service: Served
) -> None:
    with service.client(None) as nobody:
        assert nobody.get("/openapi.json").json() == document
    assert INCOMING_TOKEN not in json.dumps(document)
