"""The processes that share the accounts of this installation."""

from fastapi import APIRouter

from postroom.api import shown, views
from postroom.api.auth import CallerOf, Parts
from postroom.api.openapi import gives
from postroom.api.views import Json

router = APIRouter()


@router.get("/api/workers", tags=["workers"], responses=gives(shown.ShownPage[shown.ShownWorker]))
async def list_workers(caller: CallerOf, parts: Parts) -> Json:
    """The workers that live or died lately, and how many accounts each holds; none with the embedded
    database, where one process watches every account. Admin keys only."""
    caller.check_admin()
    seen = await parts.store.shares.workers(parts.clock.now())
    return {"items": [views.worker(one) for one in seen], "next": None}
