"""API keys (D11): made by an admin, shown once."""

from fastapi import APIRouter, Request, Response

from postroom.api import shown, views
from postroom.api.auth import CallerOf, Parts
from postroom.api.body import json_model
from postroom.api.models import KeyRequest
from postroom.api.openapi import gives, takes
from postroom.api.views import Json

router = APIRouter()


@router.post(
    "/api/keys",
    tags=["keys"],
    status_code=201,
    openapi_extra=takes(KeyRequest),
    responses=gives(shown.ShownNewKey, 201),
)
async def create_key(request: Request, caller: CallerOf, parts: Parts) -> Json:
    """Make a key; `key` is shown this once. With `site_id` it reaches that site only."""
    caller.check_admin()
    body = await json_model(request, KeyRequest)
    if body.site_id is not None:
        await parts.accounts.get(body.site_id)
    made = await parts.keyring.create(body.label, body.site_id)
    return {**views.key(made.key), "key": made.secret}


@router.get("/api/keys", tags=["keys"], responses=gives(shown.ShownPage[shown.ShownKey]))
async def list_keys(caller: CallerOf, parts: Parts) -> Json:
    """All keys, oldest first; never their secrets."""
    caller.check_admin()
    return {"items": [views.key(k) for k in await parts.keyring.all()], "next": None}


@router.delete("/api/keys/{key_id}", tags=["keys"], status_code=204)
async def revoke_key(key_id: str, caller: CallerOf, parts: Parts) -> Response:
    """Revoke a key at once."""
    caller.check_admin()
    await parts.keyring.revoke(key_id)
    return Response(status_code=204)
