"""Runs of the agent, and an HTTP agent's later answer (product.md C)."""

import asyncio

from fastapi import APIRouter, Request

from postroom.api import shown, views
from postroom.api.auth import CallerOf, Parts, bearer, not_found
from postroom.api.body import json_object
from postroom.api.openapi import TURN_ANSWER, gives
from postroom.api.views import Json
from postroom.core.answer import parse_answer
from postroom.core.errors import Unauthorized

router = APIRouter(tags=["turns"])


@router.get("/api/turns/{turn_id}", responses=gives(shown.ShownTurn))
async def get_turn(turn_id: str, caller: CallerOf, parts: Parts) -> Json:
    """A run of the agent."""
    found = await parts.store.things.turn(turn_id)
    if found is None or not caller.reaches(found.site_id):
        raise not_found("turn")
    return views.turn(found)


@router.post(
    "/api/turns/{turn_id}/answer",
    status_code=202,
    openapi_extra=TURN_ANSWER,
    responses=gives(shown.ShownCallback, 202),
)
async def answer_turn(turn_id: str, request: Request, parts: Parts) -> Json:
    """Answer a turn that was accepted with 202, within 24 h, with the turn's token as bearer."""
    token = bearer(request)
    if not token:
        raise Unauthorized("the turn's token is needed", hint="send it as Authorization: Bearer")
    await parts.answerer.check_token(turn_id, token)
    answer = await asyncio.to_thread(parse_answer, await json_object(request))
    await parts.answerer.deliver(turn_id, token, answer)
    return {"status": "accepted", "turn_id": turn_id}
