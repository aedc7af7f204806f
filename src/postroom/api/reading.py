"""Reading: lists under a site, single things by their id, and what a person may change by hand."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response

from postroom.api import shown, views
from postroom.api.auth import Caller, CallerOf, Parts, bearer, caller_of, not_found
from postroom.api.desk import hand, message_of, submission_of
from postroom.api.openapi import gives
from postroom.api.parts import ApiParts
from postroom.api.sites import After, Limit
from postroom.api.views import Json
from postroom.core.errors import Conflict
from postroom.core.model import (
    AttachmentInfo,
    Bell,
    BellKind,
    Direction,
    Event,
    Message,
    MessageState,
    Page,
    Thread,
    new_id,
)
from postroom.core.submission import SubmissionKind, SubmissionStatus
from postroom.engine.turn import attachment_bytes

router = APIRouter(tags=["reading"])

T = TypeVar("T")
Text = Annotated[str | None, Query(max_length=998)]

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}


@router.get("/api/sites/{site_id}/threads", responses=gives(shown.ShownPage[shown.ShownThread]))
async def list_threads(
    site_id: str,
    caller: CallerOf,
    parts: Parts,
    paused: bool | None = None,
    thread_key: Text = None,
    cursor: After = None,
    limit: Limit = 50,
) -> Json:
    """Conversations, the last active first."""
    await _check(site_id, caller, parts)
    filters = _given(paused=paused, thread_key=thread_key)
    return _listed(await parts.store.lists.threads(site_id, filters, cursor, limit), views.thread)


@router.get("/api/sites/{site_id}/messages", responses=gives(shown.ShownPage[shown.ShownMessage]))
async def list_messages(
    site_id: str,
    caller: CallerOf,
    parts: Parts,
    state: MessageState | None = None,
    direction: Direction | None = None,
    thread_id: Text = None,
    message_id: Text = None,
    reason: Text = None,
    cursor: After = None,
    limit: Limit = 50,
) -> Json:
    """Messages in and out, newest first."""
    await _check(site_id, caller, parts)
    filters = _given(
        state=state, direction=direction, thread_id=thread_id, message_id=message_id, reason=reason
    )
    return _listed(await parts.store.lists.messages(site_id, filters, cursor, limit), views.message)


@router.get("/api/sites/{site_id}/submissions", responses=gives(shown.ShownPage[shown.ShownSubmission]))
async def list_submissions(
    site_id: str,
    caller: CallerOf,
    parts: Parts,
    status: SubmissionStatus | None = None,
    kind: SubmissionKind | None = None,
    thread_id: Text = None,
    cursor: After = None,
    limit: Limit = 50,
) -> Json:
    """What was asked to be sent, newest first."""
    await _check(site_id, caller, parts)
    filters = _given(status=status, kind=kind, thread_id=thread_id)
    return _listed(await parts.store.lists.submissions(site_id, filters, cursor, limit), views.submission)


@router.get("/api/sites/{site_id}/events", responses=gives(shown.ShownPage[shown.ShownEvent]))
async def list_events(
    site_id: str,
    caller: CallerOf,
    parts: Parts,
    type: Text = None,  # noqa: A002 - the name of the field
    thread_id: Text = None,
    message_id: Text = None,
    submission_id: Text = None,
    turn_id: Text = None,
    cursor: After = None,
    limit: Limit = 50,
) -> Json:
    """What happened, newest first."""
    await _check(site_id, caller, parts)
    filters = _given(
        type=type, thread_id=thread_id, message_id=message_id, submission_id=submission_id, turn_id=turn_id
    )
    return _listed(await parts.store.lists.events(site_id, filters, cursor, limit), views.event)


@router.get("/api/threads/{thread_id}", responses=gives(shown.ShownThreadWithMessages))
async def get_thread(
    thread_id: str, caller: CallerOf, parts: Parts, cursor: After = None, limit: Limit = 200
) -> Json:
    """A conversation with its latest messages, oldest first; `next` opens those before them."""
    found = await _thread(thread_id, caller, parts)
    page = await parts.store.lists.messages(found.site_id, {"thread_id": thread_id}, cursor, limit)
    items = [views.message(m) for m in reversed(page.items)]
    return {**views.thread(found), "items": items, "next": page.next}


@router.post("/api/threads/{thread_id}/resume", responses=gives(shown.ShownThread))
async def resume_thread(thread_id: str, caller: CallerOf, parts: Parts) -> Json:
    """End the pause of a conversation: what waits in it is answered."""
    found = await _thread(thread_id, caller, parts)
    event = _event(parts, found.site_id, "thread.resumed", thread_id=thread_id)
    if not await parts.store.desk.resume(thread_id, event):
        raise Conflict("the conversation is not paused", code="not_paused")
    await parts.ring(Bell(BellKind.THREAD, thread_id))
    return views.thread(await _thread(thread_id, caller, parts))


@router.get("/api/messages/{message_id}", responses=gives(shown.ShownMessage))
async def get_message(message_id: str, caller: CallerOf, parts: Parts) -> Json:
    """A message."""
    return views.message(await message_of(message_id, caller, parts))


@router.get("/api/messages/{message_id}/raw", response_class=Response)
async def get_raw(message_id: str, caller: CallerOf, parts: Parts) -> Response:
    """The exact bytes of a message."""
    found = await message_of(message_id, caller, parts)
    data = await parts.blobs.get(found.raw)
    headers = {**SAFE_HEADERS, "Content-Disposition": f'attachment; filename="{found.id}.eml"'}
    return Response(data, media_type="message/rfc822", headers=headers)


@router.post("/api/messages/{message_id}/retry", responses=gives(shown.ShownMessage))
async def retry_message(message_id: str, caller: CallerOf, parts: Parts) -> Json:
    """Ask the agent (again) about a message that is held or has failed."""
    await hand(parts).retry(await message_of(message_id, caller, parts))
    return views.message(await message_of(message_id, caller, parts))


@router.get("/api/attachments/{attachment_id}", response_class=Response)
async def get_attachment(attachment_id: str, request: Request, parts: Parts) -> Response:
    """The bytes of an attachment: with an API key, or with the token of a turn on its message."""
    found = await parts.store.things.attachment(attachment_id)
    await _may_read_attachment(request, parts, found)
    assert found is not None
    info = next(a for a in found.attachments if a.id == attachment_id)
    data = await asyncio.to_thread(attachment_bytes, await parts.blobs.get(found.raw), info.index)
    headers = {**SAFE_HEADERS, "Content-Disposition": _disposition(info)}
    return Response(data, media_type="application/octet-stream", headers=headers)


@router.get("/api/submissions/{submission_id}", responses=gives(shown.ShownSubmission))
async def get_submission(submission_id: str, caller: CallerOf, parts: Parts) -> Json:
    """A submission with what is known per recipient."""
    return views.submission(await submission_of(submission_id, caller, parts))


@router.delete("/api/submissions/{submission_id}", responses=gives(shown.ShownSubmission))
async def cancel_submission(submission_id: str, caller: CallerOf, parts: Parts) -> Json:
    """Cancel what is still queued."""
    found = await get_submission(submission_id, caller, parts)
    if not await parts.store.outbox.cancel(submission_id, parts.clock.now()):
        raise Conflict(f"it cannot be cancelled any more: {found['status']}", code="not_queued")
    now = parts.clock.now()
    kind, site_id = "submission.cancelled", found["site_id"]
    event = Event(new_id("evt", now), site_id, kind, now, found["thread_id"], submission_id=submission_id)
    await parts.store.desk.note([event])
    return await get_submission(submission_id, caller, parts)


async def _check(site_id: str, caller: Caller, parts: ApiParts) -> None:
    caller.check_site(site_id)
    await parts.accounts.get(site_id)


async def _thread(thread_id: str, caller: Caller, parts: ApiParts) -> Thread:
    found = await parts.store.things.thread(thread_id)
    if found is None or not caller.reaches(found.site_id):
        raise not_found("thread")
    return found


async def _may_read_attachment(request: Request, parts: ApiParts, found: Message | None) -> None:
    """Raises the error that a missing attachment has, unless the caller may read it."""
    if found is not None and await parts.answerer.opens(bearer(request), found.id):
        return
    caller = await caller_of(request, parts)
    if found is None or not caller.reaches(found.site_id):
        raise not_found("attachment")


def _given(**filters: Any) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if value is not None}


def _listed(page: Page[T], view: Callable[[T], Json]) -> Json:
    return {"items": [view(item) for item in page.items], "next": page.next}


def _event(
    parts: ApiParts, site_id: str, kind: str, *, thread_id: str | None = None, message_id: str | None = None
) -> Event:
    now = parts.clock.now()
    return Event(new_id("evt", now), site_id, kind, now, thread_id, message_id)


def _disposition(info: AttachmentInfo) -> str:
    """A file name for download (RFC 6266); what is not plain ASCII goes percent-encoded."""
    plain = "".join(ch if ch.isascii() and (ch.isalnum() or ch in " ._-()") else "_" for ch in info.filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(info.filename, safe='')}"
