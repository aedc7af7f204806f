"""Logging in over a connection that is already TLS (RFC 9051 sections 6.2.2 and 6.2.3)."""

from postroom.imap.capabilities import Capabilities, CapabilityClaim, ask_capabilities, code_capabilities
from postroom.imap.command import Atom, command
from postroom.imap.connection import Connection
from postroom.imap.refusal import refused_login
from postroom.imap.responses import Condition, Tagged
from postroom.imap.sasl import Authenticate, Credential, choose


async def log_in(
    connection: Connection, greeting: Condition | None, credential: Credential, seconds: float
) -> Capabilities:
    """Logs in by the best way that the server has, and gives what it can do afterwards.

    A credential is sent once: no second mechanism is tried after a refusal. Raises ImapAuthenticationFailed,
    ImapThrottled, ImapBad (no sense in the server's answer) and whatever ends a connection.
    """
    offered = code_capabilities(greeting.code) if greeting is not None else None
    if offered is None:
        offered = await ask_capabilities(connection, seconds)
    if greeting is not None and greeting.status == "PREAUTH":
        return offered
    claim = CapabilityClaim()
    tagged = await _authenticate(connection, credential, offered, claim, seconds)
    if tagged.status != "OK":
        raise refused_login(tagged)
    return claim.after(tagged) or await ask_capabilities(connection, seconds)


async def _authenticate(
    connection: Connection,
    credential: Credential,
    offered: Capabilities,
    claim: CapabilityClaim,
    seconds: float,
) -> Tagged:
    way = choose(credential, offered)
    if not isinstance(way, Authenticate):
        login = command("LOGIN", way.username, way.password)
        exchange = await connection.start(login, seconds, claim)
        return await exchange.finished
    first, acknowledgement = way.answers()
    name = Atom(way.mechanism)
    if "SASL-IR" in offered:
        initial = Atom(way.initial_encoded.decode("ascii"))
        request, answers = command("AUTHENTICATE", name, initial), (acknowledgement,)
        return await connection.converse(request, answers, seconds=seconds, claim=claim)
    request = command("AUTHENTICATE", name)
    return await connection.converse(request, (first, acknowledgement), seconds=seconds, claim=claim)
