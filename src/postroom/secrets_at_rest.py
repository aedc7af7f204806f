"""Secrets at rest: the key that belongs to a database, our own signing secret, and the change of keys."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from postroom.adapters.vault import canary, check_canary
from postroom.config import wrong
from postroom.core.errors import PostroomError
from postroom.core.model import SealedToken
from postroom.core.ports import Vault
from postroom.core.store import Store

SIGNING_SECRET = "signing_secret"  # noqa: S105 - its name
CANARY = "canary"
PAGE = 200


async def check_key(store: Store, vault: Vault, made: Path | None) -> None:
    """Raise `PostroomError` unless our keys are those that the database was encrypted with.

    `made`: the key file that was made a moment ago, if it was; it is taken away again when it is wrong.
    """
    sealed = await store.tokens.remember(CANARY, canary(vault))
    try:
        check_canary(vault, sealed)
    except PostroomError as exc:
        if made is None:
            raise
        _take_away(made)
        raise wrong(
            "POSTROOM_SECRET_KEY",
            "is missing: this database was encrypted with another key, which is not here",
            f"set it, or put the file {made.name} back into the data directory",
        ) from exc


def _take_away(path: Path) -> None:
    path.unlink(missing_ok=True)


async def signing_secret(store: Store, vault: Vault) -> bytes:
    """What our Message-IDs are signed with; made once, and kept sealed."""
    context = ("postroom", "signing-secret")
    sealed = await store.tokens.remember(SIGNING_SECRET, vault.seal(secrets.token_hex(32), context))
    return bytes.fromhex(vault.open(sealed, context))


async def rotate_secrets(store: Store, vault: Vault) -> tuple[int, int]:
    """Bring every stored secret under the newest key; gives how many were changed, of how many."""
    changed = total = 0
    async for token in _tokens(store):
        total += 1
        new = vault.rewrap(token.sealed)
        # A token stored anew in between is under the newest key already.
        if new is not None and await store.tokens.rewrap(token.id, token.sealed, new):
            changed += 1
    for name in (SIGNING_SECRET, CANARY):
        total += 1
        new = vault.rewrap(await store.tokens.remember(name, ""))
        if new is not None:
            await store.tokens.replace(name, new)
            changed += 1
    return changed, total


async def _tokens(store: Store) -> AsyncIterator[SealedToken]:
    cursor: str | None = None
    while True:
        page = await store.tokens.list(None, cursor, PAGE)
        for token in page.items:
            yield token
        cursor = page.next
        if cursor is None:
            return
