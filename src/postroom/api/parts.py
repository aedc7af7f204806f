"""What the API calls: handed in by the service, which builds it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postroom.api.loop_lag import LoopLag
from postroom.core.model import Bell
from postroom.core.ports import Blobs, Clock
from postroom.core.store import Store
from postroom.engine.accounts import Accounts
from postroom.engine.answer import Answerer
from postroom.engine.idempotency import Idempotent
from postroom.engine.incoming import Incoming
from postroom.engine.incoming_tokens import IncomingTokens
from postroom.engine.keys import Keyring
from postroom.engine.send import Mailer
from postroom.engine.watch import Watchers


@dataclass(frozen=True, slots=True)
class ApiParts:
    """The engine and the read side of storage. `ready` says why the service is not ready yet, or ""."""

    store: Store
    blobs: Blobs
    clock: Clock
    keyring: Keyring
    idempotent: Idempotent
    accounts: Accounts
    mailer: Mailer
    answerer: Answerer
    incoming: Incoming
    incoming_tokens: IncomingTokens
    watchers: Watchers
    ready: Callable[[], Awaitable[str]]
    ring: Callable[[Bell], Awaitable[None]]
    lag: LoopLag
