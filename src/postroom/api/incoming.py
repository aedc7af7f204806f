"""`POST /email/incoming`: a provider hands us mail (B3). Whoever has no valid token learns nothing.

The order keeps it so: what the caller shows is judged before the body is parsed, and for a token before it is
read; the address counts only then, and what is known already last.
"""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from postroom.api import shown
from postroom.api.auth import Parts, bearer
from postroom.api.body import (
    OFF_LOOP_BYTES,
    UnsupportedMediaType,
    beside,
    checked,
    is_json,
    media_type,
    read_object,
)
from postroom.api.models import IncomingRequest
from postroom.api.openapi import gives, takes_once
from postroom.api.parts import ApiParts
from postroom.core.errors import InvalidInput, NotFound, PostroomError, Unauthorized
from postroom.core.model import Site
from postroom.core.webhooks import ID, SIGNATURE, verify
from postroom.engine.idempotency import body_hash
from postroom.engine.incoming import IncomingPost
from postroom.engine.incoming_tokens import TokenSet

router = APIRouter()

SIGNED_BYTES = 64 * 1024 * 1024  # what is hashed at most to find out whose signature it is


@dataclass(frozen=True, slots=True)
class _Proof:
    """What the caller shows: a token (bearer, or the password of HTTP Basic), or a signature of the body."""

    token: str
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    @property
    def empty(self) -> bool:
        """Whether nothing is shown."""
        return not self.token and SIGNATURE not in self.headers

    async def fits(self, known: TokenSet, now: datetime) -> bool:
        """Whether it proves knowledge of one of the tokens."""
        if self.token:
            return known.holds(self.token)
        if len(self.body) > OFF_LOOP_BYTES:
            return await asyncio.to_thread(self._signed, known, now)
        return self._signed(known, now)

    def too_dear(self, known: TokenSet) -> bool:
        """Whether trying every token would hash more than strangers may make us."""
        return not self.token and len(known) * len(self.body) > SIGNED_BYTES

    def _signed(self, known: TokenSet, now: datetime) -> bool:
        for token in known.tokens:
            try:
                verify(token, self.headers, self.body, now)
            except PostroomError:
                continue
            return True
        return False


@router.post(
    "/email/incoming",
    tags=["incoming"],
    status_code=202,
    openapi_extra=takes_once(IncomingRequest),
    responses=gives(shown.ShownIncoming, 202, "Stored, or known already."),
)
async def incoming_mail(request: Request, parts: Parts) -> JSONResponse:
    """Take a mail from a provider's webhook. Authenticated by bearer token, HTTP Basic with the token as
    password, or a Standard Webhooks signature. 202 once the mail is stored, or known already."""
    proof = await _proof(request, parts)
    document = await _document(request)
    site = await _site(parts, proof, document.get("to_address"))
    post = _post_of(checked(IncomingRequest, document))
    if site is None:
        raise NotFound("no site of this token owns the address", code="address_not_found")
    key = request.headers.get("idempotency-key") or (None if proof.token else request.headers.get(ID))
    return await _answered(parts, site, post, key)


async def _proof(request: Request, parts: ApiParts) -> _Proof:
    """What the caller shows, once it is known to be somebody's. Raises `Unauthorized`, or `NotFound` when
    there is no token that could be shown."""
    proof = _Proof(_token_of(request), request.headers)
    if not proof.empty and not proof.token:
        proof = _Proof("", request.headers, await request.body())
    now = parts.clock.now()
    lately = parts.incoming_tokens.lately()
    if not proof.empty and not proof.too_dear(lately) and await proof.fits(lately, now):
        return proof
    known = await parts.incoming_tokens.every()
    if proof.empty or not (proof.too_dear(known) or await proof.fits(known, now)):
        raise _refusal(known)
    return proof


def _refusal(known: TokenSet) -> PostroomError:
    """The one answer for whatever is shown that is nobody's."""
    if known:
        return Unauthorized("a valid incoming token or signature is needed")
    return NotFound("no incoming token is set, so the webhook is closed", code="webhook_closed")


async def _document(request: Request) -> dict[str, Any]:
    try:
        return await beside(read_object, await request.body())
    except InvalidInput as exc:
        if not is_json(media_type(request)):
            raise UnsupportedMediaType("the body must be application/json") from exc
        raise


async def _site(parts: ApiParts, proof: _Proof, to_address: object) -> Site | None:
    """The addressed site when the proof is its own; None for an address of no or of another site.

    Raises `Unauthorized` when the proof is nobody's any more.
    """
    now = parts.clock.now()
    site = await parts.incoming.owner_of(to_address) if isinstance(to_address, str) else None
    if site is not None and await proof.fits(await parts.incoming_tokens.of_site(site.id), now):
        return site
    known = await parts.incoming_tokens.every()
    if proof.too_dear(known) or not await proof.fits(known, now):
        raise _refusal(known)
    return None


async def _answered(parts: ApiParts, site: Site, post: IncomingPost, key: str | None) -> JSONResponse:
    if key is None:
        return JSONResponse(await _taken(parts, site, post, ""), 202)

    async def call(message_key: str) -> tuple[int, Mapping[str, Any]]:
        return 202, await _taken(parts, site, post, message_key)

    answered = await parts.idempotent.run(f"incoming:{site.id}", key, _hash_of(post), "msg", call)
    body = {**answered.body, "status": "duplicate"} if answered.replayed else dict(answered.body)
    headers = {"Idempotent-Replayed": "true"} if answered.replayed else {}
    return JSONResponse(body, answered.status, headers)


async def _taken(parts: ApiParts, site: Site, post: IncomingPost, key: str) -> dict[str, Any]:
    taken = await parts.incoming.take(site, post, key)
    return {
        "status": "duplicate" if taken.known else "accepted",
        "message_id": taken.message.message_id or None,
        "thread_id": taken.message.thread_id,
    }


def _hash_of(post: IncomingPost) -> str:
    # Only what is read: a provider's own fields may differ from one try to the next.
    ids = (post.message_id, post.in_reply_to, post.references)
    return body_hash(post.from_address, post.to_address, post.subject, post.body, *ids)


def _post_of(body: IncomingRequest) -> IncomingPost:
    return IncomingPost(
        from_address=body.from_address,
        to_address=body.to_address,
        body=body.body,
        subject=body.subject or "",
        message_id=body.message_id or "",
        in_reply_to=body.in_reply_to or "",
        references=body.references or "",
    )


def _token_of(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return bearer(request)
    try:
        return b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
