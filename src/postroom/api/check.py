"""The connection check (A3)."""

from fastapi import APIRouter, Request

from postroom.api import shown
from postroom.api.auth import CallerOf, Parts
from postroom.api.body import json_model
from postroom.api.models import CheckRequest
from postroom.api.openapi import gives, takes
from postroom.api.views import Json
from postroom.core.errors import InvalidInput, Problem
from postroom.core.settings import EmailChannel, parse_settings
from postroom.engine.accounts import Check, SideCheck

router = APIRouter()

CHANNEL_NAMES = {
    "email": "email",
    "username": "username",
    "incoming_server": "incomingServer",
    "incoming_port": "incomingPort",
    "incoming_security": "incomingSecurity",
    "outgoing_server": "outgoingServer",
    "outgoing_port": "outgoingPort",
    "outgoing_security": "outgoingSecurity",
}
GIVEN_ONLY = (*CHANNEL_NAMES, "password")


@router.post(
    "/api/agents/email/check",
    tags=["email"],
    openapi_extra=takes(CheckRequest),
    responses=gives(shown.ShownCheck),
)
async def check_connection(request: Request, caller: CallerOf, parts: Parts) -> Json:
    """Connect and log in to IMAP and SMTP, send nothing. 200 whenever the check ran."""
    body = await json_model(request, CheckRequest)
    _refuse_contradictions(body)
    if body.site_id is None:
        caller.check_admin()
    else:
        caller.check_site(body.site_id)
    if body.use_saved_credentials:
        saved = body.site_id or ""
        return check_view(await parts.accounts.check_saved(saved, skip_smtp=body.skip_smtp))
    if body.site_id is not None:
        await parts.accounts.get(body.site_id)
    channel = _channel_of(body)
    return check_view(await parts.accounts.check(channel, body.password or "", skip_smtp=body.skip_smtp))


def _refuse_contradictions(body: CheckRequest) -> None:
    """Saved credentials go to the saved servers alone; others have to be complete. Raises `InvalidInput`."""
    if body.use_saved_credentials:
        needed = ["site_id"]
        problems = [
            Problem(f"/{name}", "is taken only when use_saved_credentials is false")
            for name in GIVEN_ONLY
            if getattr(body, name) is not None
        ]
    else:
        needed, problems = ["email", "password"], []
        if body.incoming_server is None and (body.skip_smtp or body.outgoing_server is None):
            needed.append("incoming_server")
    problems += [Problem(f"/{name}", "is required here") for name in needed if getattr(body, name) is None]
    if problems:
        raise InvalidInput(problems)


def _channel_of(body: CheckRequest) -> EmailChannel:
    given = {
        camel: getattr(body, name) for name, camel in CHANNEL_NAMES.items() if getattr(body, name) is not None
    }
    try:
        channel = parse_settings({"channels": {"email": given}}).channels.email
    except InvalidInput as exc:
        snake = {f"/channels/email/{camel}": f"/{name}" for name, camel in CHANNEL_NAMES.items()}
        raise InvalidInput([Problem(snake.get(p.pointer, p.pointer), p.text) for p in exc.problems]) from exc
    assert channel is not None
    return channel


def check_view(check: Check) -> Json:
    """A check as a document; the configuration that was tried, without its secret."""
    channel = check.channel
    messages = {"total": check.imap.total, "unseen": check.imap.unseen}
    return {
        "success": check.success,
        "imap": {
            **_side_view(check.imap),
            "capabilities": list(check.imap.capabilities),
            "messages": messages,
        },
        "smtp": _side_view(check.smtp),
        "config": {
            "email": channel.email,
            "username": channel.login,
            "incoming_server": channel.incoming_server,
            "incoming_port": channel.incoming_port,
            "incoming_security": channel.imap_security,
            "outgoing_server": channel.outgoing_server,
            "outgoing_port": channel.outgoing_port,
            "outgoing_security": channel.smtp_security,
            "aliases": list(channel.aliases),
        },
    }


def _side_view(side: SideCheck) -> Json:
    return {
        "success": side.success,
        "code": side.code.value,
        "detail": side.detail,
        "hint": side.hint,
        "latency_ms": side.latency_ms,
        "skipped": side.skipped,
    }
