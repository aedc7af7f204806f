"""Whether the service lives, whether it is ready, and how it fares; no key needed (D11)."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from postroom.api.auth import Parts

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process serves."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(parts: Parts) -> JSONResponse:
    """200 once every account of the environment has its cursor or has failed once."""
    waiting = await parts.ready()
    if waiting:
        return JSONResponse({"status": "starting", "detail": waiting}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/metrics", response_class=Response)
async def metrics(parts: Parts) -> Response:
    """Prometheus text: counts by state, and how late the event loop is. Labels are states, never names."""
    registry = CollectorRegistry()
    registry.register(parts.lag.histogram)
    gauges: dict[str, Gauge] = {}
    for name, count in sorted((await parts.store.lists.counts()).items()):
        noun, _, state = name.partition(".")
        if noun not in gauges:
            gauges[noun] = Gauge(
                f"postroom_{noun}", f"{noun.capitalize()} by state.", ["state"], registry=registry
            )
        gauges[noun].labels(state).set(count)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
