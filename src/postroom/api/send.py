"""The sendEmail tool (A4): JSON, or a form with files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from postroom.api import shown, views
from postroom.api.auth import CallerOf, Parts
from postroom.api.body import Document, check_text, checked, json_object, media_type
from postroom.api.models import FILES, OTHER_NAMES, SendRequest
from postroom.api.openapi import FORM, gives, takes_once
from postroom.api.parts import ApiParts
from postroom.core.agent import Attachment
from postroom.core.errors import InvalidInput, Problem, invalid
from postroom.core.model import Site
from postroom.core.submission import Submission, SubmissionStatus
from postroom.engine.compose import MESSAGE_LIMIT, NewMail
from postroom.engine.send import request_hash

router = APIRouter()

LIST_FIELDS = ("to", "email", "cc", "bcc", "reply_to")
FURTHEST = timedelta(days=366)


@router.post(
    "/api/agents/tools/sendEmail",
    tags=["email"],
    status_code=201,
    openapi_extra=takes_once(SendRequest, FORM),
    responses={
        **gives(shown.ShownSend, 201, "The server took it for one recipient at least."),
        **gives(shown.ShownSend, 202, "Queued, or nobody knows whether the server took it."),
        **gives(shown.ShownSend, 502, "The server refused every recipient."),
    },
)
async def send_email(request: Request, caller: CallerOf, parts: Parts) -> JSONResponse:
    """Send a mail as the site. Waits up to 10 s for the server: 201 sent, 202 queued or unknown."""
    document = await _document(request)
    with _as_named(document):
        body = checked(SendRequest, _by_first_names(document))
        caller.check_site(body.site_id)
        site = await parts.accounts.get(body.site_id)
        return await _answered(parts, site, _mail_of(body, parts.clock.now()), request)


async def _answered(parts: ApiParts, site: Site, mail: NewMail, request: Request) -> JSONResponse:
    key = request.headers.get("idempotency-key")
    if key is None:
        status, document = await _sent(parts, site, mail, None)
        return JSONResponse(document, status)

    async def call(submission_id: str) -> tuple[int, Mapping[str, Any]]:
        return await _sent(parts, site, mail, submission_id)

    answered = await parts.idempotent.run(f"sendEmail:{site.id}", key, request_hash(mail), "sub", call)
    headers = {"Idempotent-Replayed": "true"} if answered.replayed else {}
    return JSONResponse(dict(answered.body), answered.status, headers)


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
        case SubmissionStatus.UNKNOWN | SubmissionStatus.CLOSED:
            return 202, "unknown"
        case _:
            return 202, "queued"


async def _document(request: Request) -> Document:
    if media_type(request) != "multipart/form-data":
        return await json_object(request)
    try:
        async with request.form(max_files=FILES, max_fields=300, max_part_size=MESSAGE_LIMIT) as form:
            return await _from_form(form)
    except HTTPException as exc:
        raise invalid("", "the form cannot be read, or has too many parts") from exc


async def _from_form(form: FormData) -> Document:
    """A form as the JSON document that says the same; every file becomes an attachment, under any name."""
    document: Document = {}
    files: list[Document] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            kind = {"content_type": value.content_type} if value.content_type else {}
            files.append({"filename": value.filename or "file", "content": await value.read(), **kind})
            continue
        check_text("", name)
        check_text(f"/{name}", value)
        if name in LIST_FIELDS:
            document.setdefault(name, []).append(value)
        elif name in document:
            raise invalid(f"/{name}", "stands twice")
        else:
            document[name] = value
    if files:
        if "attachments" in document:
            raise invalid("/attachments", "must be files, not text")
        document["attachments"] = files
    return document


def _by_first_names(document: Document) -> Document:
    """The document with `to` and `content` under these names. Raises `InvalidInput` for both of a pair."""
    for other, name in OTHER_NAMES.items():
        if other in document and name in document:
            raise invalid(f"/{other}", f"is another name for {name}; give one of them")
    return {OTHER_NAMES.get(name, name): value for name, value in document.items()}


@contextmanager
def _as_named(document: Document) -> Iterator[None]:
    """Faults point at the names that the caller used."""
    used = {f"/{name}": f"/{other}" for other, name in OTHER_NAMES.items() if other in document}
    try:
        yield
    except InvalidInput as exc:
        renamed = [Problem(_renamed(problem.pointer, used), problem.text) for problem in exc.problems]
        raise InvalidInput(renamed, code=exc.code) from exc


def _renamed(pointer: str, used: Mapping[str, str]) -> str:
    first, slash, rest = pointer[1:].partition("/")
    return used.get(f"/{first}", f"/{first}") + slash + rest if pointer else pointer


def _mail_of(body: SendRequest, now: datetime) -> NewMail:
    if body.send_at is not None and body.send_at - now > FURTHEST:
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
        attachments=tuple(Attachment(f.filename, f.content, f.content_type) for f in body.attachments),
        send_at=body.send_at,
    )
