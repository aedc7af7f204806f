"""An HTTP agent's later answer (product.md C): `POST /api/turns/{id}/answer` with the turn's token."""

from fastapi import APIRouter, Request

from postroom.api.auth import Parts, bearer
from postroom.api.body import json_object
from postroom.api.views import Json
from postroom.core.answer import parse_answer

router = APIRouter()

ANSWER_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "answer": {"value": {"text": "Markdown", "attachments": []}},
                    "nothing": {"value": {"nothing": "why no mail goes out"}},
                },
            }
        },
    }
}


@router.post("/api/turns/{turn_id}/answer", tags=["turns"], status_code=202, openapi_extra=ANSWER_BODY)
async def answer_turn(turn_id: str, request: Request, parts: Parts) -> Json:
    """Answer a turn that was accepted with 202, within 24 h, with the turn's token as bearer."""
    await parts.answerer.check_token(turn_id, bearer(request))
    document, _ = await json_object(request)
    await parts.answerer.deliver(turn_id, bearer(request), parse_answer(document))
    return {"status": "accepted", "turn_id": turn_id}
