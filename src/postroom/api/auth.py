"""Who calls: an admin, or one site (D11). Another site's things look like things that do not exist."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from postroom.api.parts import ApiParts
from postroom.core.errors import Forbidden, NotFound


def parts_of(request: Request) -> ApiParts:
    """What the app was made with."""
    parts: ApiParts = request.app.state.parts
    return parts


Parts = Annotated[ApiParts, Depends(parts_of)]


@dataclass(frozen=True, slots=True)
class Caller:
    """A recognised key. `site_id` None: an admin."""

    key_id: str
    site_id: str | None

    @property
    def admin(self) -> bool:
        """Whether everything may be reached."""
        return self.site_id is None

    def reaches(self, site_id: str) -> bool:
        """Whether this caller may reach things of the site."""
        return self.site_id is None or self.site_id == site_id

    def check_site(self, site_id: str) -> None:
        """Raises the same `NotFound` as for a site that does not exist."""
        if not self.reaches(site_id):
            raise NotFound("there is no such site", code="site_not_found")

    def check_admin(self) -> None:
        """Raises `Forbidden` for a site key."""
        if not self.admin:
            raise Forbidden("this needs an admin key", code="admin_key_required")


def bearer(request: Request) -> str:
    """The bearer token of the request, or ""."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def caller_of(request: Request, parts: Parts) -> Caller:
    """Whose key the request shows, as `Authorization: Bearer` or `x-api-key`. Raises `Unauthorized`."""
    secret = bearer(request) or request.headers.get("x-api-key", "").strip()
    key = await parts.keyring.recognise(secret)
    return Caller(key.id, key.site_id)


CallerOf = Annotated[Caller, Depends(caller_of)]


def not_found(what: str) -> NotFound:
    """The one answer for things that do not exist and things of others."""
    return NotFound(f"there is no such {what}", code=f"{what}_not_found")
