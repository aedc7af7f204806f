"""Which tokens open the webhook for incoming mail (B3): the environment's for site `default`, and those that
sites store as secure tokens of type `incoming`."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

import structlog

from postroom.core.errors import PostroomError
from postroom.core.model import SealedToken
from postroom.core.ports import Credentials, Vault
from postroom.core.registry import Tokens

log = structlog.get_logger()

TOKEN_TYPE = "incoming"  # noqa: S105 - a token's type
ENVIRONMENT_SITE = "default"
ENVIRONMENT = (ENVIRONMENT_SITE, TOKEN_TYPE, "webhook")
PAGE = 200


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Some tokens, and their digests to compare by: time then tells nothing of the nearly right ones."""

    tokens: tuple[str, ...] = field(default=(), repr=False)
    digests: frozenset[bytes] = field(default=frozenset(), repr=False)

    @classmethod
    def of(cls, tokens: Iterable[str]) -> "TokenSet":
        """The set of these tokens."""
        unique = tuple(dict.fromkeys(tokens))
        return cls(unique, frozenset(_digest(token) for token in unique))

    def holds(self, token: str) -> bool:
        """Whether this is one of them."""
        return _digest(token) in self.digests

    def __len__(self) -> int:
        return len(self.tokens)


class IncomingTokens:
    """Reads them when they are needed, so that a change counts at once."""

    def __init__(self, tokens: Tokens, vault: Vault, credentials: Credentials) -> None:
        self._tokens = tokens
        self._vault = vault
        self._credentials = credentials
        self._reading = asyncio.Lock()
        self._asked = 0
        self._covered = 0
        self._all = TokenSet()

    async def of_site(self, site_id: str) -> TokenSet:
        """The tokens of one site."""
        return TokenSet.of((*await self._given(site_id), *await self._stored(site_id)))

    async def every(self) -> TokenSet:
        """The tokens of all sites as they are now. Many who ask at once share one reading, so that strangers
        with wrong tokens cost no more than one reading at a time."""
        self._asked += 1
        ticket = self._asked
        async with self._reading:
            if self._covered < ticket:
                asked = self._asked
                found = (*await self._given(ENVIRONMENT_SITE), *await self._stored(None))
                self._all, self._covered = TokenSet.of(found), asked
            return self._all

    def lately(self) -> TokenSet:
        """The tokens of all sites as they were at the last reading."""
        return self._all

    async def _given(self, site_id: str) -> tuple[str, ...]:
        if site_id != ENVIRONMENT_SITE:
            return ()
        value = await self._credentials.find(*ENVIRONMENT)
        return (value,) if value else ()

    async def _stored(self, site_id: str | None) -> tuple[str, ...]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._tokens.list(site_id, cursor, PAGE)
            found += [value for token in page.items if (value := self._opened(token))]
            cursor = page.next
            if cursor is None:
                return tuple(found)

    def _opened(self, token: SealedToken) -> str | None:
        if token.token_type != TOKEN_TYPE:
            return None
        name = (token.site_id, token.token_type, token.identifier)
        if name == ENVIRONMENT:
            return None  # the environment's own comes first, and is looked up with it
        try:
            return self._vault.open(token.sealed, name)
        except PostroomError as exc:
            log.warning("incoming.token_unusable", token=token.id, code=exc.code)
            return None


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
