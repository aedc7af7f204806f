"""The connection check and the sendEmail tool (A3, A4)."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile

from postroom.api import views
from postroom.api.auth import Caller, CallerOf, Parts
from postroom.api.body import body_of, checked, json_model, parse_object
from postroom.api.models import CheckRequest, SendRequest, past_or_soon
from postroom.api.parts import ApiParts
from postroom.api.views import Json
from postroom.core.agent import Attachment
from postroom.core.errors import InvalidInput, Problem, TooLarge, invalid
from postroom.core.model import Site
from postroom.core.settings import EmailChannel, parse_settings
from postroom.core.submission import Submission, SubmissionStatus
from postroom.engine.accounts import Check, SideCheck
from postroom.engine.compose import MESSAGE_LIMIT, NewMail
from postroom.engine.send import request_hash

router = APIRouter()

LIST_FIELDS = ("to", "email", "cc", "bcc", "reply_to")


@router.post("/api/agents/email/check", tags=["email"], openapi_extra=body_of(CheckRequest))
async def check_connection(request: Request, caller: CallerOf, parts: Parts) -> Json:
    """Connect and log in to IMAP and SMTP, send nothing. 200 whenever the check ran."""
    body, _ = await json_model(request, CheckRequest)
    if body.site_id is not None:
        caller.check_site(body.site_id)
    if body.use_saved_credentials:
        assert body.site_id is not None
        return _check_view(await parts.accounts.check_saved(body.site_id))
    if body.site_id is None:
        caller.check_admin()
    else:
        await parts.accounts.get(body.site_id)
    assert body.password is not None
    return _check_view(await parts.accounts.check(_channel_of(body), body.password, skip_smtp=body.skip_smtp))


def _channel_of(body: CheckRequest) -> EmailChannel:
    names = {
        "email": "email",
        "username": "username",
        "incoming_server": "incomingServer",
        "incoming_port": "incomingPort",
        "incoming_security": "incomingSecurity",
        "outgoing_server": "outgoingServer",
        "outgoing_port": "outgoingPort",
        "outgoing_security": "outgoingSecurity",
    }
    given = {camel: getattr(body, name) for name, camel in names.items() if getattr(body, name) is not None}
    try:
        channel = parse_settings({"channels": {"email": given}}).channels.email
    except InvalidInput as exc:
        snake = {f"/channels/email/{camel}": f"/{name}" for name, camel in names.items()}
        raise InvalidInput([Problem(snake.get(p.pointer, p.pointer), p.text) for p in exc.problems]) from exc
    assert channel is not None
    return channel


def _check_view(check: Check) -> Json:
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


@router.post(
    "/api/agents/tools/sendEmail",
    tags=["email"],
    status_code=201,
    openapi_extra={
        **body_of(SendRequest),
        "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}],
    },
)
async def send_email(request: Request, caller: CallerOf, parts: Parts) -> JSONResponse:
    """Send a mail as the site. Waits up to 10 s for the server: 201 sent, 202 queued or unknown."""
    body = await _send_body(request)
    site = await _site(caller, parts, body.site_id)
    mail = _mail_of(body, parts.clock.now())
    key = request.headers.get("idempotency-key")
    if key is None:
        status, document = await _sent(parts, site, mail, None)
        return JSONResponse(document, status)

    async def call(submission_id: str) -> tuple[int, Mapping[str, Any]]:
        return await _sent(parts, site, mail, submission_id)

    answered = await parts.idempotent.run(f"sendEmail:{site.id}", key, request_hash(mail), "sub", call)
    headers = {"Idempotent-Replayed": "true"} if answered.replayed else {}
    return JSONResponse(dict(answered.body), answered.status, headers)


async def _site(caller: Caller, parts: ApiParts, site_id: str) -> Site:
    caller.check_site(site_id)
    return await parts.accounts.get(site_id)


async def _sent(
    parts: ApiParts, site: Site, mail: NewMail, submission_id: str | None
) -> tuple[int, Mapping[str, Any]]:
    submission = await parts.mailer.send(site, mail, submission_id=submission_id)
    thread = await parts.store.things.thread(submission.thread_id)
    status, word = _outcome(submission)
    return status, {
        "success": status < 400,
        "status": word,
        "message_id": submission.message_id,
        "submission_id": submission.id,
        "thread_id": submission.thread_id,
        "thread_key": thread.thread_key if thread else None,
        "recipients": views.recipients(submission.recipients),
    }


def _outcome(submission: Submission) -> tuple[int, str]:
    match submission.status:
        case SubmissionStatus.SENT | SubmissionStatus.PARTLY_SENT:
            return 201, "sent"
        case SubmissionStatus.REJECTED | SubmissionStatus.FAILED:
            return 502, "rejected"
        case SubmissionStatus.UNKNOWN:
            return 202, "unknown"
        case _:
            return 202, "queued"


async def _send_body(request: Request) -> SendRequest:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=100, max_fields=300, max_part_size=MESSAGE_LIMIT) as form:
            return checked(SendRequest, await _from_form(form))
    body, _ = await json_model(request, SendRequest)
    return body


async def _from_form(form: FormData) -> dict[str, Any]:
    """A multipart form as the JSON document that says the same; files become attachments."""
    document: dict[str, Any] = {}
    if isinstance(payload := form.get("payload"), str):
        document.update(parse_object(payload.encode()))
    files = list(document.get("attachments", []))
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            content = binascii.b2a_base64(await value.read(), newline=False).decode()
            part = {"filename": value.filename or "file", "content": content}
            files.append({**part, **({"content_type": value.content_type} if value.content_type else {})})
        elif name in LIST_FIELDS:
            document.setdefault(name, []).append(value)
        elif name != "payload":
            if name in document:
                raise invalid(f"/{name}", "stands twice")
            document[name] = value
    if files:
        document["attachments"] = files
    return document


def _mail_of(body: SendRequest, now: datetime) -> NewMail:
    if not past_or_soon(body.send_at, now):
        raise invalid("/send_at", "must not be more than a year ahead")
    if body.thread_id is not None and body.in_reply_to is not None:
        raise invalid("/in_reply_to", "cannot be given beside thread_id")
    return NewMail(
        to=tuple(body.to),
        subject=body.subject,
        content=body.content,
        content_type=body.content_type,
        cc=tuple(body.cc),
        bcc=tuple(body.bcc),
        from_=body.from_,
        reply_to=tuple(body.reply_to),
        thread_id=body.thread_id,
        in_reply_to=body.in_reply_to,
        attachments=tuple(
            Attachment(f.filename, _decoded(f.content, index), f.content_type)
            for index, f in enumerate(body.attachments)
        ),
        send_at=body.send_at,
    )


def _decoded(content: str, index: int) -> bytes:
    where = f"/attachments/{index}/content"
    if len(content) * 3 // 4 > MESSAGE_LIMIT:
        raise TooLarge(f"{where}: more than {MESSAGE_LIMIT} bytes")
    try:
        return b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise invalid(where, "must be base64") from exc
