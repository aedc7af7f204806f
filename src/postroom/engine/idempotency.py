"""One effect for one key: a call that is repeated gets the first one's answer (`Idempotency-Key`)."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

from postroom.core.errors import Conflict, InvalidInput, Move, PostroomError, Problem, invalid
from postroom.core.model import new_id
from postroom.core.ports import Clock
from postroom.core.registry import Idempotency

KEY = re.compile(r"[\x21-\x7e]{1,255}")
RUNNING = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a call: `body` is a JSON document; `replayed` when an earlier call gave it."""

    status: int
    body: Mapping[str, Any]
    replayed: bool = False


def body_hash(*parts: str | bytes) -> str:
    """What tells one request from another under the same key."""
    digest = sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


class Idempotent:
    """Runs calls under their keys."""

    def __init__(self, keys: Idempotency, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def run(
        self,
        scope: str,
        key: str,
        request: str,
        kind: str,
        call: Callable[[str], Awaitable[tuple[int, Mapping[str, Any]]]],
    ) -> Answered:
        """Run `call` once for (scope, key), or give the answer of the time when it ran.

        `request` is the `body_hash` of the call. `call` gets the id (of `kind`) for what it makes; after a
        crash in between the same id is handed in again, so that nothing is made twice. Raises `Conflict`
        (`idempotency_in_progress`) while another call runs, `InvalidInput` (`idempotency_key_reused`) for
        another request under the key.
        """
        if not KEY.fullmatch(key):
            raise invalid("/Idempotency-Key", "must be 1 to 255 visible ASCII characters without spaces")
        now = self._clock.now()
        reserved = await self._keys.begin(scope, key, request, new_id(kind, now), now, now + RUNNING)
        if reserved.state == "done":
            return Answered(reserved.status, json.loads(reserved.body), replayed=True)
        if reserved.state == "running":
            raise Conflict(
                "a call with this Idempotency-Key is still running", code="idempotency_in_progress"
            )
        if reserved.state == "other_body":
            problem = Problem("/Idempotency-Key", "was used for another request; take a new key")
            raise InvalidInput([problem], code="idempotency_key_reused")
        return await self._fresh(scope, key, reserved.resource_id, call)

    async def _fresh(
        self,
        scope: str,
        key: str,
        resource_id: str,
        call: Callable[[str], Awaitable[tuple[int, Mapping[str, Any]]]],
    ) -> Answered:
        try:
            status, body = await call(resource_id)
        except PostroomError as exc:
            # A refused call left nothing behind. After any other end (cancelled, crashed) the key stays
            # reserved for a while, and whoever calls next goes on with the same id.
            if exc.move is Move.CALLER:
                await self._keys.abandon(scope, key)
            raise
        await self._keys.finish(scope, key, status, json.dumps(body))
        return Answered(status, body)
