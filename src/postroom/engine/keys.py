"""API keys: made once, shown once, kept as a hash (D11)."""

from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe

from postroom.core.errors import NotFound, Unauthorized, invalid
from postroom.core.model import ApiKey, new_id
from postroom.core.ports import Clock
from postroom.core.registry import Keys

PREFIX = "pr_"
ENVIRONMENT_LABEL = "environment"
LABEL_LIMIT = 200


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key and its secret, which is nowhere else."""

    key: ApiKey
    secret: str = field(repr=False)


class Keyring:
    """Makes, recognises and revokes keys."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def create(self, label: str, site_id: str | None) -> NewKey:
        """A new key: for one site, or for everything (None). Raises `InvalidInput` at /label, `NotFound`
        when there is no such site."""
        if len(label) > LABEL_LIMIT or any(ch < " " for ch in label):
            raise invalid("/label", f"must be one line of at most {LABEL_LIMIT} characters")
        if label == ENVIRONMENT_LABEL:
            raise invalid("/label", "is kept for the key that the environment gives")
        secret = PREFIX + token_urlsafe(32)
        return NewKey(await self._store(label, site_id, secret), secret)

    async def adopt(self, secret: str | None) -> None:
        """Make the environment's secret an admin key; those that it gave before are revoked."""
        now = self._clock.now()
        known = await self._keys.find(hash_of(secret), now) if secret is not None else None
        kept = known.id if known is not None else ""
        for old in await self._keys.list():
            if old.label == ENVIRONMENT_LABEL and old.revoked_at is None and old.id != kept:
                await self._keys.revoke(old.id, now)
        if secret is not None and (known is None or known.site_id is not None):
            await self._store(ENVIRONMENT_LABEL, None, secret)

    async def recognise(self, secret: str) -> ApiKey:
        """Whose key it is. Raises `Unauthorized`."""
        key = await self._keys.find(hash_of(secret), self._clock.now()) if secret else None
        if key is None:
            raise Unauthorized(
                "a valid API key is needed", hint="send it as Authorization: Bearer or x-api-key"
            )
        return key

    async def has_admin(self) -> bool:
        """Whether there is an admin key that is not revoked."""
        return any(key.site_id is None and key.revoked_at is None for key in await self._keys.list())

    async def all(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first, revoked ones too."""
        return await self._keys.list()

    async def revoke(self, key_id: str) -> None:
        """Revoke at once. Raises `NotFound`."""
        if not await self._keys.revoke(key_id, self._clock.now()):
            raise NotFound("there is no such key", code="key_not_found")

    async def _store(self, label: str, site_id: str | None, secret: str) -> ApiKey:
        now = self._clock.now()
        key = ApiKey(new_id("key", now), label, site_id, now)
        await self._keys.add(key, hash_of(secret))
        return key


def hash_of(secret: str) -> str:
    """What is stored of a key. It has 256 bits of chance, so a plain digest is enough."""
    return sha256(secret.encode()).hexdigest()
