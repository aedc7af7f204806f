"""Opening mailboxes: the host judged, TLS verified, logged in."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from postroom.adapters.hosts import PublicHosts
from postroom.adapters.mailbox.faults import translated, unsendable_login
from postroom.adapters.mailbox.patience import Patience
from postroom.adapters.mailbox.session import ImapSession
from postroom.adapters.mailbox.strikes import Strikes
from postroom.core.model import Login
from postroom.core.ports import Probe, Steps
from postroom.imap.client import Client
from postroom.imap.dial import Deadlines, Endpoint, Security
from postroom.imap.errors import ImapBad, ImapConnectError, ImapError, ImapInvalidArgument, ImapNo
from postroom.imap.mailboxes import Status
from postroom.imap.sasl import AccessToken, Credential, Password

DEADLINES: Final = Deadlines(connect=10.0, greeting=30.0, command=60.0, transfer=300.0)


class ImapAccess:
    """`core.ports.MailAccess` over IMAP.

    `context` has to verify (see `tls.client_context`); one serves all connections. `steps` hears of
    `imap:fetch`, `imap:store` and `imap:append` once the server has answered, and of what
    `imap.connection.Notice` names.
    """

    def __init__(
        self,
        hosts: PublicHosts,
        context: ssl.SSLContext,
        steps: Steps,
        *,
        deadlines: Deadlines = DEADLINES,
        patience: Patience | None = None,
    ) -> None:
        self._hosts = hosts
        self._context = context
        self._steps = steps
        self._deadlines = deadlines
        self._patience = patience or Patience()
        self._strikes = Strikes()

    @asynccontextmanager
    async def open(self, login: Login) -> AsyncIterator[ImapSession]:
        """See the port."""
        with translated(login):
            addresses = await self._hosts.addresses(login.server)
            client = await self._connect(login, addresses)
        session = ImapSession(client, login, self._strikes, self._steps, self._patience)
        try:
            yield session
        finally:
            await self._leave(client, politely=not session.fetching)

    async def probe(self, login: Login) -> Probe:
        """See the port; ends within its time."""
        with translated(login):
            async with asyncio.timeout(self._patience.probe):
                return await self._probe(login)

    async def _probe(self, login: Login) -> Probe:
        addresses = await self._hosts.addresses(login.server)
        begun = asyncio.get_running_loop().time()
        client = await self._connect(login, addresses)
        try:
            latency = asyncio.get_running_loop().time() - begun
            counts = await _counts(client)
            return Probe(latency, tuple(sorted(client.capabilities)), counts.messages, counts.unseen)
        finally:
            await self._leave(client, politely=True)

    async def _connect(self, login: Login, addresses: tuple[str, ...]) -> Client:
        """Log in at the first address that takes a connection."""
        *others, last = addresses
        for address in others:
            with suppress(ImapConnectError):
                return await self._log_in(login, address)
        return await self._log_in(login, last)

    async def _log_in(self, login: Login, address: str) -> Client:
        server = login.server
        endpoint = Endpoint(
            (address, server.port),
            server.host.strip().strip("[]").rstrip("."),
            Security(server.security),
            self._context,
        )
        try:
            client = await Client.open(
                endpoint, _credential(login), self._deadlines, notice=self._steps.reached
            )
        except ImapInvalidArgument as exc:
            raise unsendable_login() from exc
        try:
            await _introduce(client)
        except BaseException:
            await client.close()
            raise
        return client

    async def _leave(self, client: Client, *, politely: bool) -> None:
        """Log out if the server listens, and close. Half a FETCH stands in the way of a polite word."""
        try:
            if politely and client.is_open:
                with suppress(TimeoutError, ImapError):
                    async with asyncio.timeout(self._patience.goodbye):
                        await client.logout()
        finally:
            await client.close()


async def _introduce(client: Client) -> None:
    """Some providers open no mailbox before they know who calls (RFC 2971); some refuse the question."""
    if "ID" in client.capabilities:
        with suppress(ImapNo, ImapBad):
            await client.identify({"name": "Postroom", "vendor": "Postroom"})


async def _counts(client: Client) -> Status:
    try:
        return await client.status("INBOX")
    except (ImapNo, ImapBad):
        return Status()


def _credential(login: Login) -> Credential:
    if login.mechanism == "oauth":
        return AccessToken(login.username, login.secret)
    return Password(login.username, login.secret)
