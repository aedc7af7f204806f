"""Errors that know the next move: whether waiting helps, and whose turn it is.

Foreign exceptions are translated into these where they enter, with `from exc`. What is not understood
counts as temporary. Texts are written for the person who reads them and never hold addresses, subjects,
mail text or secrets; `code` is stable and may be programmed against.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Move(StrEnum):
    """Whose turn it is to put a fault right."""

    OURS = "ours"
    OWNER = "owner"
    CALLER = "caller"


class PostroomError(Exception):
    """Base of everything we raise on purpose.

    `temporary`: trying again later may help. `move`: who can help. `code`: stable name. `hint`: what to
    do next, may be empty. `status`: the HTTP status that says it best.
    """

    code = "internal_error"
    status = 500
    temporary = True
    move = Move.OURS

    def __init__(self, text: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        if code is not None:
            self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input: where (JSON pointer, RFC 6901; "" is the whole) and what is wrong."""

    pointer: str
    text: str


class InvalidInput(PostroomError):
    """What the caller handed in cannot be used; nothing was stored or sent."""

    code = "invalid_input"
    status = 422
    temporary = False
    move = Move.CALLER

    def __init__(self, problems: Sequence[Problem], *, code: str | None = None) -> None:
        self.problems = tuple(problems)
        where = "; ".join(f"{p.pointer or '/'}: {p.text}" for p in self.problems)
        super().__init__(where or "the input cannot be used", code=code)


def invalid(pointer: str, text: str) -> InvalidInput:
    """An `InvalidInput` with a single problem."""
    return InvalidInput([Problem(pointer, text)])


class Unauthorized(PostroomError):
    """No key, or one that is not known."""

    code = "unauthorized"
    status = 401
    temporary = False
    move = Move.CALLER


class Forbidden(PostroomError):
    """The key is known but this is not for it."""

    code = "forbidden"
    status = 403
    temporary = False
    move = Move.CALLER


class NotFound(PostroomError):
    """No such thing, or one of another site, which must look the same (D11)."""

    code = "not_found"
    status = 404
    temporary = False
    move = Move.CALLER


class Conflict(PostroomError):
    """Something else stands in the way: an address taken, a state that is over, a key in use."""

    code = "conflict"
    status = 409
    temporary = False
    move = Move.CALLER


class TooLarge(PostroomError):
    """More bytes than are taken."""

    code = "too_large"
    status = 413
    temporary = False
    move = Move.CALLER


class LeaseLost(PostroomError):
    """Our claim ran out and the row belongs to another; what we meant to write was not written."""

    code = "lease_lost"


class AgentFailed(PostroomError):
    """The agent gave no answer. Temporary ones are tried again with back-off, for hours."""

    code = "agent_failed"
    move = Move.OWNER

    def __init__(
        self,
        text: str,
        *,
        code: str | None = None,
        temporary: bool = False,
        after: float | None = None,
    ) -> None:
        super().__init__(text, code=code)
        self.temporary = temporary
        self.after = after


class ServerCode(StrEnum):
    """What a connection to a mail server came to (A3)."""

    OK = "ok"
    DNS_FAILED = "dns_failed"
    HOST_NOT_ALLOWED = "host_not_allowed"
    CONNECT_FAILED = "connect_failed"
    TIMEOUT = "timeout"
    TLS_FAILED = "tls_failed"
    AUTH_FAILED = "auth_failed"
    NEEDS_OAUTH = "needs_oauth"
    APP_PASSWORD_REQUIRED = "app_password_required"  # noqa: S105 - the name of a fault
    THROTTLED = "throttled"
    MAILBOX_MISSING = "mailbox_missing"
    PROTOCOL_ERROR = "protocol_error"


OWNERS_MOVE = frozenset(
    {
        ServerCode.AUTH_FAILED,
        ServerCode.NEEDS_OAUTH,
        ServerCode.APP_PASSWORD_REQUIRED,
        ServerCode.HOST_NOT_ALLOWED,
        ServerCode.MAILBOX_MISSING,
    }
)
REFUSED_LOGIN = frozenset({ServerCode.AUTH_FAILED, ServerCode.NEEDS_OAUTH, ServerCode.APP_PASSWORD_REQUIRED})


class MailServerError(PostroomError):
    """A mail server could not be used. `after`: seconds the server asked us to wait, if it did.

    Nothing was handed over when this is raised: a submission that fails so may be tried again.
    """

    status = 502

    def __init__(
        self, server_code: ServerCode, text: str, *, hint: str = "", after: float | None = None
    ) -> None:
        super().__init__(text, code=server_code.value, hint=hint)
        self.server_code = server_code
        self.after = after
        self.temporary = server_code not in OWNERS_MOVE
        self.move = Move.OWNER if server_code in OWNERS_MOVE else Move.OURS


class OutcomeUnknown(PostroomError):
    """The bytes were on their way and the reply never came: accepted or not, nobody can tell (D9)."""

    code = "unknown"
    temporary = False
    move = Move.OWNER
