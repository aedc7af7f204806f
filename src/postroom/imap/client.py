"""An IMAP client for reading mail: one logged-in connection, typed questions and typed answers.

Every method raises an ImapError: ImapNo, ImapBad and ImapThrottled when the server refuses, after which the
client can still be used; ImapClosed, ImapBye, ImapTimeout and ImapProtocolError when the connection is gone.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from postroom.imap.backlog import Backlog
from postroom.imap.capabilities import Capabilities, EnabledClaim
from postroom.imap.command import Argument, Atom, Literal, LiteralMode, command, date_time, flag_atom
from postroom.imap.connection import Connection, Notice
from postroom.imap.dial import Deadlines, Endpoint, connect
from postroom.imap.errors import ImapError, ImapNo
from postroom.imap.exchange import Claim, completed
from postroom.imap.fetch import Fetched, FetchGathering, FetchItem
from postroom.imap.identity import IdClaim
from postroom.imap.idle import ChangeLog, Changes, Idling
from postroom.imap.login import log_in
from postroom.imap.mailbox_names import encode_name
from postroom.imap.mailboxes import (
    ListClaim,
    Mailbox,
    Namespace,
    NamespaceClaim,
    SelectClaim,
    Selected,
    Status,
    StatusClaim,
)
from postroom.imap.responses import ResponseCode, Tagged
from postroom.imap.sasl import Credential
from postroom.imap.search import SearchClaim, SearchKey
from postroom.imap.tokens import as_number
from postroom.imap.uids import UidSet
from postroom.imap.wire import Limits

_FETCH_OVERHEAD: Final = 1 << 16
"""Literals beside the body in one FETCH response: a header section, labels."""

_LOGOUT_SECONDS: Final = 5.0
_STATUS_ITEMS: Final = ("MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY")


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message was stored (RFC 4315)."""

    uidvalidity: int
    uid: int


class Client:
    """One logged-in connection. For one task at a time, but for Idling.interrupt and `close`."""

    __slots__ = ("_connection", "_deadlines", "_log", "_odd_names", "_utf8", "capabilities", "selected")

    def __init__(self, connection: Connection, deadlines: Deadlines, capabilities: Capabilities) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self._log = ChangeLog()
        self._utf8 = False
        self._odd_names: dict[str, bytes] = {}
        self.capabilities = capabilities
        self.selected: Selected | None = None
        connection.listener = self._log
        connection.literals = LiteralMode.of(capabilities)

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        credential: Credential,
        deadlines: Deadlines | None = None,
        *,
        identity: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        notice: Notice | None = None,
    ) -> "Client":
        """Connects, logs in, and tells the server who calls (`identity`, RFC 2971) if it wants to know.

        Raises as dial.connect and login.log_in do; nothing stays open then.
        """
        deadlines = deadlines or Deadlines()
        connection, greeting = await connect(endpoint, deadlines, limits, notice)
        try:
            capabilities = await log_in(connection, greeting, credential, deadlines.command)
            client = cls(connection, deadlines, capabilities)
            if identity and "ID" in capabilities:
                await client.identify(identity)
        except BaseException:
            await connection.close()
            raise
        return client

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as this end knows."""
        return self._connection.is_open

    @property
    def pushes(self) -> bool:
        """Whether the server announces changes by itself (IDLE)."""
        return "IDLE" in self.capabilities

    # --- the session ------------------------------------------------------------------------------

    async def identify(self, identity: Mapping[str, str]) -> Mapping[str, str]:
        """ID (RFC 2971): says who calls, and gives what the server says of itself (keys in lower case)."""
        fields = [text for pair in identity.items() for text in pair]
        claim = IdClaim()
        await self._run("ID", fields, claim=claim)
        return claim.fields

    async def enable(self, *extensions: str) -> None:
        """ENABLE (RFC 5161). After UTF8=ACCEPT mailbox names travel as UTF-8 (RFC 6855)."""
        claim = EnabledClaim()
        await self._run("ENABLE", *(Atom(each) for each in extensions), claim=claim)
        self._utf8 = self._utf8 or "UTF8=ACCEPT" in claim.enabled

    async def noop(self) -> Changes:
        """NOOP: a round trip, and what the server announced up to now."""
        await self._run("NOOP")
        return self._log.take()

    async def logout(self) -> None:
        """LOGOUT, and the end of the connection, whatever the server says."""
        with suppress(ImapError):
            await self._connection.run(command("LOGOUT"), seconds=_LOGOUT_SECONDS)
        await self.close()

    async def close(self) -> None:
        """Ends the connection at once."""
        await self._connection.close()

    # --- mailboxes --------------------------------------------------------------------------------

    async def list(self, pattern: str = "*") -> Sequence[Mailbox]:
        """The mailboxes that match, with their special uses where the server knows them (RFC 6154)."""
        claim = ListClaim(utf8=self._utf8)
        extended = {"SPECIAL-USE", "LIST-EXTENDED"} <= self.capabilities
        returning = (Atom("RETURN"), (Atom("SPECIAL-USE"),)) if extended else ()
        await self._run("LIST", "", encode_name(pattern, utf8=self._utf8), *returning, claim=claim)
        for mailbox in claim.mailboxes:
            if encode_name(mailbox.name, utf8=self._utf8) != mailbox.raw:
                self._odd_names[mailbox.name] = mailbox.raw
        return claim.mailboxes

    async def namespaces(self) -> Sequence[Namespace]:
        """The user's own name spaces (RFC 2342); none when the server does not tell."""
        if "NAMESPACE" not in self.capabilities:
            return ()
        claim = NamespaceClaim(utf8=self._utf8)
        await self._run("NAMESPACE", claim=claim)
        return claim.personal

    async def select(self, mailbox: str) -> Selected:
        """SELECT: opens a mailbox for reading and writing."""
        return await self._open_mailbox("SELECT", mailbox)

    async def examine(self, mailbox: str) -> Selected:
        """EXAMINE: opens a mailbox for reading only."""
        return await self._open_mailbox("EXAMINE", mailbox)

    async def unselect(self) -> None:
        """Closes the open mailbox and expunges nothing (RFC 3691); without UNSELECT it stays open."""
        if self.selected is not None and "UNSELECT" in self.capabilities:
            self.selected = None
            await self._run("UNSELECT")

    async def status(self, mailbox: str) -> Status:
        """STATUS: the counts of a mailbox that need not be open."""
        claim = StatusClaim()
        items = tuple(Atom(item) for item in _STATUS_ITEMS)
        await self._run("STATUS", self._name(mailbox), items, claim=claim)
        return claim.status()

    # --- messages ---------------------------------------------------------------------------------

    async def uid_fetch(
        self, uids: UidSet, items: Collection[FetchItem], cap: int = 0
    ) -> AsyncGenerator[Fetched]:
        """UID FETCH, message by message as they come, in the server's order.

        `cap` is how many bytes a body or header may have; one that is announced with more ends the connection
        with ImapLiteralTooLarge, unread: ask for SIZE first. Messages that are gone are missing, and no UID
        outside `uids` is ever given. Raises ImapNoBody at the end when the server left out bodies that it
        should have sent. A caller that stops early should do so through contextlib.aclosing.
        """
        gathering = FetchGathering(uids, items)
        backlog = Backlog(self._connection.pace, gathering, self._deadlines.transfer)
        asked = tuple(Atom(item.asked) for item in items)
        request = command("UID FETCH", uids.atom(), (Atom("UID"), *asked))
        exchange = await self._connection.start(
            request, self._deadlines.transfer, backlog.claim, cap + _FETCH_OVERHEAD
        )
        backlog.follow(exchange)
        try:
            while (fetched := await backlog.next()) is not None:
                yield fetched
        finally:
            backlog.abandon()
        with _expunged_is_fine():
            await completed(exchange)
        for fetched in gathering.rest():
            yield fetched

    async def uid_search(self, *keys: SearchKey) -> Sequence[int]:
        """UID SEARCH: the UIDs of messages that fit all keys, ascending."""
        arguments = [argument for key in keys for argument in key]
        texts = (argument for argument in arguments if isinstance(argument, str))
        if not self._utf8 and not all(text.isascii() for text in texts):
            arguments = [Atom("CHARSET"), Atom("UTF-8"), *arguments]
        claim = SearchClaim()
        await self._run("UID SEARCH", *arguments, claim=claim)
        return await claim.uids()

    async def add_flags(self, uids: UidSet, flags: Collection[str]) -> None:
        r"""UID STORE +FLAGS.SILENT: sets `flags` (`\Answered`) on those messages that are still there."""
        await self._store("+FLAGS.SILENT", uids, flags)

    async def remove_flags(self, uids: UidSet, flags: Collection[str]) -> None:
        """UID STORE -FLAGS.SILENT."""
        await self._store("-FLAGS.SILENT", uids, flags)

    async def append(
        self, mailbox: str, message: bytes, flags: Collection[str] = (), received: datetime | None = None
    ) -> Appended | None:
        """APPEND: stores a message. Gives where, when the server says so (UIDPLUS)."""
        date = (date_time(received),) if received is not None else ()
        marks = tuple(flag_atom(flag) for flag in flags)
        request = command("APPEND", self._name(mailbox), marks, *date, Literal(message))
        tagged = await self._connection.run(request, seconds=self._deadlines.transfer)
        return _appended(tagged.code)

    # --- changes ----------------------------------------------------------------------------------

    def changes(self) -> Changes:
        """What the server announced beside the answers to commands, since this was last asked."""
        return self._log.take()

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[Idling]:
        """IDLE: entered once the server waits, left with DONE. No command can be sent in between.

        What was announced before is still there: the first `wait` gives it at once.
        """
        async with self._connection.idle(self._deadlines.command) as exchange:
            yield Idling(self._log, exchange)

    # --- how it is done ---------------------------------------------------------------------------

    async def _run(self, name: str, *arguments: Argument, claim: Claim | None = None) -> Tagged:
        request = command(name, *arguments)
        return await self._connection.run(request, seconds=self._deadlines.command, claim=claim)

    async def _open_mailbox(self, verb: str, mailbox: str) -> Selected:
        self.selected = None
        claim = SelectClaim()
        tagged = await self._run(verb, self._name(mailbox), claim=claim)
        self.selected = claim.selected(mailbox, tagged, examined=verb == "EXAMINE")
        return self.selected

    async def _store(self, verb: str, uids: UidSet, flags: Collection[str]) -> None:
        marks = tuple(flag_atom(flag) for flag in flags)
        with _expunged_is_fine():
            await self._run("UID STORE", uids.atom(), Atom(verb), marks)

    def _name(self, mailbox: str) -> bytes:
        return self._odd_names.get(mailbox) or encode_name(mailbox, utf8=self._utf8)


@contextmanager
def _expunged_is_fine() -> Iterator[None]:
    """A NO because some of the messages are gone is no failure (RFC 5530 EXPUNGEISSUED)."""
    try:
        yield
    except ImapNo as exc:
        if exc.code is None or exc.code.name != "EXPUNGEISSUED":
            raise


def _appended(code: ResponseCode | None) -> Appended | None:
    if code is None or code.name != "APPENDUID" or len(code.values) < 2:
        return None
    uidvalidity, uid = as_number(code.values[0]), as_number(code.values[1])
    return Appended(uidvalidity, uid) if uidvalidity is not None and uid is not None else None
