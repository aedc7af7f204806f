"""Handing finished bytes to a submission server (RFC 6409) over kept connections."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from postroom.adapters.hosts import PublicHosts
from postroom.adapters.smtp_connection import SmtpConnection, SmtpDeadlines
from postroom.adapters.smtp_dial import SmtpDialler
from postroom.adapters.smtp_kept import Keeping, KeptConnections, Place
from postroom.adapters.smtp_transaction import Outgoing, Transaction
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Login
from postroom.core.ports import Probe, Steps
from postroom.core.providers import hint, provider_for
from postroom.core.submission import Envelope, SmtpReply

_LARGE = 1024 * 1024


class SmtpSubmission:
    """`core.ports.MailSubmission` over SMTP.

    `context` has to verify (see `tls.client_context`). `steps` hears of `smtp:connected`, `smtp:mail`,
    `smtp:rcpt`, `smtp:354`, `smtp:data-half`, `smtp:data-sent` and `smtp:reply`, and of every write and
    read on the way (`SmtpConnection`).
    """

    def __init__(
        self,
        hosts: PublicHosts,
        context: ssl.SSLContext,
        steps: Steps,
        *,
        deadlines: SmtpDeadlines | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        self._hosts = hosts
        self._steps = steps
        self._deadlines = deadlines or SmtpDeadlines()
        self._dialler = SmtpDialler(context, self._deadlines, steps)
        self._kept = KeptConnections(keeping or Keeping())

    async def submit(
        self, login: Login, envelope: Envelope, raw: bytes, transmitting: Callable[[], Awaitable[None]]
    ) -> Mapping[str, SmtpReply]:
        """See the port. Also raises `InvalidInput` for bytes that no server can be sent (NUL)."""
        message = await _outgoing(raw)
        transaction = Transaction(login, envelope, message, self._steps)
        with _hinted(login):
            async with self._kept.place(login) as place:
                connection, refusals = await self._begin(transaction, place, login)
                try:
                    replies = refusals or await transaction.finish(connection, transmitting)
                except BaseException:
                    connection.abort()
                    raise
                taken = any(reply.accepted for reply in replies.values())
                await place.give_back(connection, clean=taken)
        return replies

    async def probe(self, login: Login) -> Probe:
        """See the port; ends within the deadline `probe`."""
        with _hinted(login):
            try:
                async with asyncio.timeout(self._deadlines.probe):
                    return await self._probe(login)
            except TimeoutError as exc:
                raise MailServerError(ServerCode.TIMEOUT, "the server did not answer in time") from exc

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._kept.close()

    async def _begin(
        self, transaction: Transaction, place: Place, login: Login
    ) -> tuple[SmtpConnection, Mapping[str, SmtpReply] | None]:
        """A connection on which MAIL was accepted, or refused for good; a kept one may fail unnoticed."""
        kept = place.take()
        if kept is not None:
            try:
                return kept, await transaction.begin(kept, self._deadlines.reuse)
            except MailServerError:
                kept.abort()
                place.drop_kept()
        fresh = await self._open(login)
        try:
            return fresh, await transaction.begin(fresh, self._deadlines.command)
        except BaseException:
            fresh.abort()
            raise

    async def _open(self, login: Login) -> SmtpConnection:
        return await self._dialler.open(login, await self._hosts.addresses(login.server))

    async def _probe(self, login: Login) -> Probe:
        addresses = await self._hosts.addresses(login.server)
        begun = asyncio.get_running_loop().time()
        connection = await self._dialler.open(login, addresses)
        latency = asyncio.get_running_loop().time() - begun
        try:
            capabilities = (f"{name} {values}".rstrip() for name, values in connection.extensions.items())
            return Probe(latency, tuple(capabilities))
        finally:
            await connection.close()


@contextmanager
def _hinted(login: Login) -> Iterator[None]:
    """Adds to an error what its reader should do next."""
    try:
        yield
    except MailServerError as exc:
        exc.hint = exc.hint or hint(exc.server_code, provider_for(login.server.host), "smtp")
        raise


async def _outgoing(raw: bytes) -> Outgoing:
    # Four passes over a large message would hold the loop up.
    return await asyncio.to_thread(Outgoing.of, raw) if len(raw) > _LARGE else Outgoing.of(raw)
