"""Sites, their settings, and their secure tokens (A1, A2)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from postroom.api import shown, views
from postroom.api.auth import CallerOf, Parts
from postroom.api.body import json_model, json_object
from postroom.api.models import EncryptRequest
from postroom.api.openapi import SETTINGS_PATCH, gives, takes
from postroom.api.views import Json
from postroom.core.model import AccountStatus, Page
from postroom.core.settings import SiteSettings

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
After = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]


@router.post(
    "/api/secure-tokens/encrypt",
    tags=["sites"],
    openapi_extra=takes(EncryptRequest),
    responses=gives(shown.ShownSealed),
)
async def encrypt_token(request: Request, caller: CallerOf, parts: Parts) -> Json:
    """Encrypt a secret; with `store_in_db` keep it for the site. The plain value is never given out."""
    body = await json_model(request, EncryptRequest)
    caller.check_site(body.site_id)
    token_id, sealed = await parts.accounts.seal(
        body.site_id,
        body.token_type,
        body.identifier,
        body.value,
        store=body.store_in_db,
        may_create=caller.admin,
    )
    data = {"id": token_id, "encrypted_value": sealed, "stored_in_db": body.store_in_db}
    return {"success": True, "data": data}


@router.get("/api/secure-tokens", tags=["sites"], responses=gives(shown.ShownPage[shown.ShownToken]))
async def list_tokens(
    caller: CallerOf,
    parts: Parts,
    site_id: Annotated[str | None, Query(max_length=64)] = None,
    cursor: After = None,
    limit: Limit = 50,
) -> Json:
    """The stored tokens of a site (an admin may leave the site out); never their values."""
    wanted = site_id if site_id is not None else caller.site_id
    if wanted is not None:
        caller.check_site(wanted)
        await parts.accounts.get(wanted)
    page = await parts.store.tokens.list(wanted, cursor, limit)
    return {"items": [views.token(t) for t in page.items], "next": page.next}


@router.delete("/api/secure-tokens/{token_id}", tags=["sites"], status_code=204)
async def delete_token(token_id: str, caller: CallerOf, parts: Parts) -> Response:
    """Delete a stored token."""
    await parts.accounts.forget(token_id, caller.site_id)
    return Response(status_code=204)


@router.get("/api/sites", tags=["sites"], responses=gives(shown.ShownPage[shown.ShownSite]))
async def list_sites(caller: CallerOf, parts: Parts, cursor: After = None, limit: Limit = 50) -> Json:
    """The sites that the key reaches, each with what its watcher is doing."""
    if caller.site_id is not None:
        own = await parts.store.sites.get(caller.site_id)
        page = Page(items=() if own is None else (own,))
    else:
        page = await parts.store.sites.list(cursor, limit)
    return {"items": [views.site(s, await _status(parts, s.id)) for s in page.items], "next": page.next}


@router.get("/api/sites/{site_id}", tags=["sites"], responses=gives(shown.ShownSiteWithSettings))
async def get_site(site_id: str, caller: CallerOf, parts: Parts) -> Json:
    """A site with the state of its account and its settings."""
    caller.check_site(site_id)
    site = await parts.accounts.get(site_id)
    return {**views.site(site, await _status(parts, site_id)), "settings": site.settings.document()}


@router.delete("/api/sites/{site_id}", tags=["sites"], status_code=204)
async def delete_site(site_id: str, caller: CallerOf, parts: Parts) -> Response:
    """Delete a site with everything of it, secrets first. Needs an admin key."""
    caller.check_site(site_id)
    caller.check_admin()
    for digest in await parts.accounts.delete(site_id):
        await parts.blobs.delete(digest)
    return Response(status_code=204)


@router.get("/api/sites/{site_id}/settings", tags=["sites"], responses=gives(SiteSettings))
async def get_settings(site_id: str, caller: CallerOf, parts: Parts) -> Json:
    """The full settings."""
    caller.check_site(site_id)
    return (await parts.accounts.get(site_id)).settings.document()


@router.patch(
    "/api/sites/{site_id}/settings",
    tags=["sites"],
    openapi_extra=SETTINGS_PATCH,
    responses=gives(SiteSettings),
)
async def patch_settings(site_id: str, request: Request, caller: CallerOf, parts: Parts) -> Json:
    """Change settings by a JSON merge patch (RFC 7396); answers the full settings. Takes effect at once."""
    caller.check_site(site_id)
    patch = await json_object(request)
    site = await parts.accounts.patch(site_id, patch, may_create=caller.admin)
    return site.settings.document()


async def _status(parts: Parts, site_id: str) -> AccountStatus | None:
    return parts.watchers.status(site_id) or await parts.store.accounts.status(site_id)
