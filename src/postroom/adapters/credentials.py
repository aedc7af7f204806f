"""The secrets of sites: those of the operator's environment first, else the vault's."""

from collections.abc import Mapping

from postroom.core.ports import Vault
from postroom.core.registry import Tokens

TokenName = tuple[str, str, str]


class SiteCredentials:
    """`core.ports.Credentials`. `environment` maps (site, type, identifier) to what is never stored."""

    def __init__(self, tokens: Tokens, vault: Vault, environment: Mapping[TokenName, str]) -> None:
        self._tokens = tokens
        self._vault = vault
        self._environment = dict(environment)

    async def find(self, site_id: str, token_type: str, identifier: str) -> str | None:
        """The plain value, or None. Raises `PostroomError` when a stored one cannot be opened."""
        name = (site_id, token_type, identifier)
        if name in self._environment:
            return self._environment[name]
        token = await self._tokens.get(*name)
        return self._vault.open(token.sealed, name) if token else None
