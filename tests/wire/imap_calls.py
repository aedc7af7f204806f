"""How the wire tests call the client: short deadlines, the tests' own authority, an invented account."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from postroom.imap.client import Client
from postroom.imap.dial import Deadlines, Endpoint, Security
from postroom.imap.fetch import Fetched, FetchItem
from postroom.imap.sasl import Credential, Password
from postroom.imap.uids import UidSet
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_imap import Script, ScriptedImap

PASSWORD = "correct horse"
ACCOUNT = Password("ann@example.test", PASSWORD)
DEADLINES = Deadlines(connect=5.0, greeting=5.0, command=5.0, transfer=5.0)


def endpoint(
    server: ScriptedImap,
    authority: CertificateAuthority,
    security: Security = Security.TLS,
    server_hostname: str = "localhost",
) -> Endpoint:
    return Endpoint(server.address, server_hostname, security, authority.client_context())


@asynccontextmanager
async def conversation(
    authority: CertificateAuthority,
    script: Script,
    *,
    credential: Credential = ACCOUNT,
    deadlines: Deadlines = DEADLINES,
) -> AsyncIterator[tuple[Client, ScriptedImap]]:
    """A client logged in to a server with this script; both are gone afterwards."""
    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        client = await Client.open(endpoint(server, authority), credential, deadlines)
        try:
            yield client, server
        finally:
            await client.close()


async def fetched(client: Client, uids: UidSet, *items: FetchItem, cap: int = 1 << 20) -> list[Fetched]:
    """All of a UID FETCH."""
    messages: list[Fetched] = []
    await take_all(client, uids, items, messages, cap)
    return messages


async def take_all(
    client: Client, uids: UidSet, items: Sequence[FetchItem], into: list[Fetched], cap: int = 1 << 20
) -> None:
    """All of a UID FETCH, added to `into` one by one, so that what came before an error is seen."""
    async for message in client.uid_fetch(uids, items, cap):
        into.append(message)  # noqa: PERF401 - a comprehension would lose them
