"""`POST /email/incoming`: a provider hands us mail (B3). Whoever has no valid token learns nothing."""

import binascii
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from postroom.api.auth import Parts, bearer
from postroom.api.body import body_of, checked, parse_object
from postroom.api.models import IncomingRequest
from postroom.api.parts import ApiParts
from postroom.core.errors import InvalidInput, NotFound, PostroomError, Unauthorized
from postroom.core.model import Site
from postroom.core.webhooks import ID, verify
from postroom.engine.idempotency import body_hash
from postroom.engine.incoming import IncomingPost

router = APIRouter()

TOKEN_TYPE = "incoming"  # noqa: S105 - a token's type
ENVIRONMENT = ("default", TOKEN_TYPE, "webhook")
PAGE = 200


@dataclass(frozen=True, slots=True)
class _Proof:
    """What the caller shows: a token (bearer, or the password of HTTP Basic), or a signature."""

    token: str
    headers: Mapping[str, str]
    body: bytes

    def fits(self, secret: str, parts: ApiParts) -> bool:
        """Whether it proves knowledge of the secret."""
        if self.token:
            return compare_digest(self.token.encode(), secret.encode())
        try:
            verify(secret, self.headers, self.body, parts.clock.now())
        except PostroomError:
            return False
        return True


@router.post("/email/incoming", tags=["incoming"], status_code=202, openapi_extra=body_of(IncomingRequest))
async def incoming_mail(request: Request, parts: Parts) -> JSONResponse:
    """Take a mail from a provider's webhook. Authenticated by bearer token, HTTP Basic with the token as
    password, or a Standard Webhooks signature. 202 once the mail is stored, or known already."""
    raw = await request.body()
    proof = _Proof(_token_of(request), request.headers, raw)
    site = await _authenticated_site(parts, proof, _addressee(raw))
    post = _post_of(checked(IncomingRequest, parse_object(raw)))
    key = request.headers.get("idempotency-key") or (request.headers.get(ID) if not proof.token else None)
    if key is None:
        return JSONResponse(await _taken(parts, site, post, ""), 202)

    async def call(message_key: str) -> tuple[int, Mapping[str, Any]]:
        return 202, await _taken(parts, site, post, message_key)

    answered = await parts.idempotent.run(f"incoming:{site.id}", key, body_hash(raw), "msg", call)
    body = {**answered.body, "status": "duplicate"} if answered.replayed else dict(answered.body)
    headers = {"Idempotent-Replayed": "true"} if answered.replayed else {}
    return JSONResponse(body, answered.status, headers)


async def _taken(parts: ApiParts, site: Site, post: IncomingPost, key: str) -> dict[str, Any]:
    taken = await parts.incoming.take(site, post, key)
    return {
        "status": "duplicate" if taken.known else "accepted",
        "message_id": taken.message.message_id or None,
        "thread_id": taken.message.thread_id,
        "id": taken.message.id,
    }


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


def _addressee(raw: bytes) -> str:
    try:
        value = parse_object(raw).get("to_address")
    except InvalidInput:
        return ""
    return value if isinstance(value, str) else ""


def _token_of(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return bearer(request)
    try:
        return b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


async def _authenticated_site(parts: ApiParts, proof: _Proof, to_address: str) -> Site:
    """The addressed site, when the proof is its own. 404 for a proof of another site, or when no site has
    a token; 401 for a proof that fits nobody."""
    site = await parts.incoming.owner_of(to_address)
    if site is not None:
        async for secret in _secrets_of(parts, site.id):
            if proof.fits(secret, parts):
                return site
    closed = True
    async for secret in _secrets_of(parts, None):
        closed = False
        if proof.fits(secret, parts):
            raise NotFound("no site of this token owns the address", code="address_not_found")
    if closed:
        raise NotFound("no incoming token is set, so the webhook is closed", code="webhook_closed")
    raise Unauthorized("a valid incoming token or signature is needed")


async def _secrets_of(parts: ApiParts, site_id: str | None) -> AsyncIterator[str]:
    """The incoming tokens of a site, or of all."""
    if site_id in (None, ENVIRONMENT[0]):
        given = await parts.credentials.find(*ENVIRONMENT)
        if given is not None:
            yield given
    cursor: str | None = None
    while True:
        page = await parts.store.tokens.list(site_id, cursor, PAGE)
        for token in page.items:
            if token.token_type == TOKEN_TYPE:
                secret = await parts.credentials.find(token.site_id, token.token_type, token.identifier)
                if secret is not None:
                    yield secret
        cursor = page.next
        if cursor is None:
            return
