"""What a server can do (RFC 9051 section 7.2.2), as a set of upper-case words."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from postroom.imap.command import command
from postroom.imap.connection import Connection
from postroom.imap.exchange import Untagged
from postroom.imap.responses import Condition, Data, ResponseCode, Tagged
from postroom.imap.tokens import Value

Capabilities: TypeAlias = frozenset[str]

_DIFFERENT_SERVERS: Final = 256


def code_capabilities(code: ResponseCode | None) -> Capabilities | None:
    """Those in a `[CAPABILITY …]` code, None when there is no such code."""
    return _words(code.values) if code is not None and code.name == "CAPABILITY" else None


class CapabilityClaim:
    """Takes the capabilities that come while a command is under way; the latest of them count."""

    def __init__(self) -> None:
        self.found: Capabilities | None = None

    def __call__(self, response: Untagged) -> bool:
        if isinstance(response, Data) and response.name == "CAPABILITY":
            self.found = _words(response.values)
            return True
        if isinstance(response, Condition) and (found := code_capabilities(response.code)) is not None:
            self.found = found
            return True
        return False

    def after(self, tagged: Tagged) -> Capabilities | None:
        """What is known once the command has ended; None: the server said nothing about it."""
        return code_capabilities(tagged.code) or self.found


class EnabledClaim:
    """Takes the ENABLED response (RFC 5161)."""

    def __init__(self) -> None:
        self.enabled: Capabilities = frozenset()

    def __call__(self, response: Untagged) -> bool:
        if not isinstance(response, Data) or response.name != "ENABLED":
            return False
        self.enabled |= _words(response.values)
        return True


async def ask_capabilities(connection: Connection, seconds: float) -> Capabilities:
    """CAPABILITY. Raises as `Connection.run`."""
    claim = CapabilityClaim()
    tagged = await connection.run(command("CAPABILITY"), seconds=seconds, claim=claim)
    return claim.after(tagged) or frozenset()


def _words(values: Iterable[Value]) -> Capabilities:
    return _shared(tuple(value for value in values if isinstance(value, str)))


@lru_cache(maxsize=_DIFFERENT_SERVERS)
def _shared(words: tuple[str, ...]) -> Capabilities:
    """One set for the thousands of connections to the same server."""
    return frozenset(word.upper() for word in words)
