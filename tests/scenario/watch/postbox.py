"""A mail server's reading side that a test can make misbehave: mailboxes in memory, IMAP over a real socket.

    async with Postbox(tls) as box:
        box.inbox.add(raw)                      # arrives, and is announced to who idles there
        box.on["UID FETCH"] = broken            # a test's own way with a command

Every command but those in `on` is answered as a good server does. What clients did is counted.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeAlias

from postroom.imap.tokens import Value, as_bytes, as_text
from postroom.imap.wire import ClientCommand
from postroom.sandbox.imap_fetch import fetched, wanted
from postroom.sandbox.imap_search import found
from postroom.sandbox.imap_view import View
from postroom.sandbox.mailboxes import MailFolder, StoredMail
from tests.support.scripted_imap import Peer, ScriptedImap, ScriptError

CAPABILITIES = "IMAP4rev1 IDLE UIDPLUS LITERAL+ SPECIAL-USE"


@dataclass(eq=False)
class Session:
    """One client's connection, as a test's own ways with commands see it."""

    box: "Postbox"
    peer: Peer
    view: View | None = None
    name: str = ""

    async def say(self, *lines: str | bytes) -> None:
        """Send lines. Raises `ConnectionResetError` once the connection is closing."""
        if self.peer.writer.is_closing():
            raise ConnectionResetError
        await self.peer.send(*lines)

    async def end(self, command: ClientCommand, status: str = "OK done") -> None:
        """The tagged end of a command, after what the client has to be told."""
        if self.view is not None and command.name not in ("UID FETCH", "UID STORE", "UID SEARCH", "SELECT"):
            for line in self.view.news():
                await self.say(line)
        await self.say(f"{command.tag} {status}")

    async def receive(self) -> ClientCommand:
        """The client's next command, however long it takes."""
        while True:
            with suppress(TimeoutError):
                return await self.peer.receive()

    def chosen(self, command: ClientCommand) -> list[StoredMail]:
        """The messages that a UID command names."""
        assert self.view is not None
        return [mail for _, mail in self.view.chosen(as_text(command.args[0]), by_uid=True)]

    @property
    def folder(self) -> MailFolder:
        """The mailbox that is open."""
        assert self.view is not None
        return self.view.folder


Way: TypeAlias = Callable[[Session, ClientCommand], Awaitable[bool]]
"""A test's own way with a command; False leaves it to the good server."""


@dataclass
class Counts:
    """What clients did. `bodies`: how often each body was asked for and given, by mailbox and UID."""

    connects: int = 0
    logins: int = 0
    most_open: int = 0
    commands: Counter[str] = field(default_factory=Counter)
    bodies: Counter[tuple[str, int]] = field(default_factory=Counter)
    flags: set[str] = field(default_factory=set)


class Postbox:
    """The server; as a context manager it listens on a free port of loopback."""

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        capabilities: str = CAPABILITIES,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.capabilities = capabilities
        self.inbox = MailFolder()
        self.folders = {"INBOX": self.inbox, "Sent": MailFolder("\\Sent")}
        self.on: dict[str, Way] = {}
        self.counts = Counts()
        self.sessions: set[Session] = set()
        self.announces = True
        self._now = now or (lambda: datetime.now(UTC))
        self._server = ScriptedImap(self._serve, tls=tls)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self._server.address

    @property
    def received(self) -> bytes:
        """Everything that clients sent."""
        return self._server.received

    def deliver(self, raw: bytes, *flags: str, received_at: datetime | None = None) -> StoredMail:
        """A mail lies in the inbox, received now."""
        return self.inbox.add(raw, flags, (received_at or self._now()).replace(microsecond=0))

    def renumber(self) -> None:
        """The inbox gets a new UIDVALIDITY and new UIDs; nobody is told."""
        self.inbox.uidvalidity += 1
        mails, self.inbox.mails, self.inbox.uidnext = self.inbox.mails, [], 1
        for mail in mails:
            self.inbox.mails.append(StoredMail(self.inbox.uidnext, mail.raw, mail.received_at, mail.flags))
            self.inbox.uidnext += 1

    async def farewell(self, words: str = "* BYE restarting") -> None:
        """Say good-bye to every client and hang up."""
        for session in tuple(self.sessions):
            with suppress(ConnectionError):
                await session.say(words)
            session.peer.writer.close()

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    # --- a good server --------------------------------------------------------------------------------

    async def _serve(self, peer: Peer) -> None:
        session = Session(self, peer)
        self.counts.connects += 1
        self.sessions.add(session)
        self.counts.most_open = max(self.counts.most_open, len(self.sessions))
        try:
            await self._greet(session)
            while True:
                command = await session.receive()
                self.counts.commands[command.name] += 1
                way = self.on.get(command.name)
                if way is not None and await way(session, command):
                    continue
                if not await self._answer(session, command):
                    return
        finally:
            self.sessions.discard(session)

    async def _greet(self, session: Session) -> None:
        greet = self.on.get("greeting")
        if greet is not None and await greet(session, _NOTHING):
            return
        await session.say(f"* OK [CAPABILITY {self.capabilities} AUTH=PLAIN SASL-IR] ready")

    async def _answer(self, session: Session, command: ClientCommand) -> bool:
        """Whether the connection goes on."""
        answer = _ANSWERS.get(command.name)
        if answer is None:
            await session.end(command, "BAD what?")
        else:
            await answer(session, command)
        return command.name != "LOGOUT"


_NOTHING = ClientCommand("", "", (), b"")


async def _login(session: Session, command: ClientCommand) -> None:
    session.box.counts.logins += 1
    await session.end(command, f"OK [CAPABILITY {session.box.capabilities}] welcome")


async def _list(session: Session, command: ClientCommand) -> None:
    for name, folder in session.box.folders.items():
        await session.say(f'* LIST ({folder.attribute}) "/" "{name}"')
    await session.end(command)


async def _select(session: Session, command: ClientCommand) -> None:
    session.view, session.name = None, as_text(command.args[0])
    folder = session.box.folders.get(session.name)
    if folder is None:
        await session.end(command, "NO [NONEXISTENT] no such mailbox")
        return
    await session.say(
        f"* {len(folder.mails)} EXISTS",
        f"* OK [UIDVALIDITY {folder.uidvalidity}] ok",
        f"* OK [UIDNEXT {folder.uidnext}] ok",
    )
    session.view = View(folder, writable=True)
    await session.end(command, "OK [READ-WRITE] open")


async def _status(session: Session, command: ClientCommand) -> None:
    folder = session.box.folders.get(as_text(command.args[0]))
    if folder is None:
        await session.end(command, "NO [NONEXISTENT] no such mailbox")
        return
    unseen = sum("\\Seen" not in mail.flags for mail in folder.mails)
    numbers = f"MESSAGES {len(folder.mails)} UIDNEXT {folder.uidnext} UIDVALIDITY {folder.uidvalidity}"
    await session.say(f'* STATUS "{as_text(command.args[0])}" ({numbers} UNSEEN {unseen})')
    await session.end(command)


async def _fetch(session: Session, command: ClientCommand) -> None:
    assert session.view is not None
    items = wanted(command.args[1], by_uid=True)
    for number, mail in session.view.chosen(as_text(command.args[0]), by_uid=True):
        if mail not in session.folder.mails:
            continue
        if items.sections:
            session.box.counts.bodies[session.name, mail.uid] += 1
        await session.say(fetched(number, mail, items))
    await session.end(command)


async def _store(session: Session, command: ClientCommand) -> None:
    assert session.view is not None
    given = command.args[2] if isinstance(command.args[2], tuple) else command.args[2:]
    flags = frozenset(as_text(flag) for flag in given)
    session.box.counts.flags |= flags
    for _, mail in session.view.chosen(as_text(command.args[0]), by_uid=True):
        session.view.flag(mail, mail.flags | flags)
    await session.end(command)


async def _search(session: Session, command: ClientCommand) -> None:
    assert session.view is not None
    numbers = found(session.view, [as_text(value) for value in command.args], by_uid=True)
    await session.say(" ".join(("* SEARCH", *map(str, numbers))))
    await session.end(command)


async def _append(session: Session, command: ClientCommand) -> None:
    flags: tuple[Value, ...] = next((v for v in command.args[1:-1] if isinstance(v, tuple)), ())
    folder = session.box.folders[as_text(command.args[0])]
    folder.add(as_bytes(command.args[-1]), [as_text(flag) for flag in flags])
    await session.end(command)


async def _idle(session: Session, command: ClientCommand) -> None:
    with session.folder.listening() as bell:
        await session.say("+ idling")
        done = asyncio.ensure_future(_done(session))
        try:
            while not done.done():
                await _announce(session)
                rung = asyncio.ensure_future(bell.wait())
                await asyncio.wait({done, rung}, return_when=asyncio.FIRST_COMPLETED)
                rung.cancel()
                bell.clear()
            await done
        finally:
            done.cancel()
    await session.end(command)


async def _done(session: Session) -> None:
    command = await session.receive()
    if command.line != b"DONE":
        raise ScriptError(f"only DONE ends IDLE, not {command.name}")


async def _announce(session: Session) -> None:
    if session.box.announces and session.view is not None:
        for line in session.view.news():
            await session.say(line)


async def _plain(session: Session, command: ClientCommand) -> None:
    await session.end(command)


async def _logout(session: Session, command: ClientCommand) -> None:
    await session.say("* BYE see you")
    await session.end(command)


_ANSWERS: dict[str, Callable[[Session, ClientCommand], Awaitable[None]]] = {
    "LOGIN": _login,
    "AUTHENTICATE": _login,
    "LIST": _list,
    "SELECT": _select,
    "STATUS": _status,
    "UID FETCH": _fetch,
    "UID STORE": _store,
    "UID SEARCH": _search,
    "APPEND": _append,
    "IDLE": _idle,
    "NOOP": _plain,
    "LOGOUT": _logout,
}
