"""IMAP over the mailboxes in memory: what a mail program and Postroom need, on the client's own grammar."""

import asyncio
import re
from base64 import b64decode
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from postroom.imap.tokens import as_bytes, as_text
from postroom.imap.wire import ClientCommand, CommandReader, LiteralAnnounced
from postroom.sandbox.mailboxes import SPECIAL, MailFolder, MailWorld, StoredMail

CAPABILITIES = "IMAP4rev1 LITERAL+ SASL-IR ID IDLE UIDPLUS SPECIAL-USE NAMESPACE UNSELECT AUTH=PLAIN"
CHUNK = 65_536
IDLE_LIMIT = timedelta(minutes=30).total_seconds()


class ImapServer:
    """Serves connections; `open` gives the callback for `asyncio.start_server`."""

    def __init__(self, world: MailWorld, password: str) -> None:
        self._world = world
        self._password = password

    async def open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from greeting to its end."""
        session = _Session(self._world, self._password, reader, writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            await session.run()
        writer.close()


class _Refused(Exception):
    """The command is answered NO (or BAD); the text is the answer."""

    def __init__(self, text: str, word: str = "NO") -> None:
        super().__init__(text)
        self.word = word


class _Session:
    """One client."""

    def __init__(
        self, world: MailWorld, password: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._world = world
        self._password = password
        self._reader = reader
        self._writer = writer
        self._commands = CommandReader()
        self._account: dict[str, MailFolder] | None = None
        self._folder: MailFolder | None = None
        self._told = 0
        self._over = False

    async def run(self) -> None:
        """Greet, then answer commands until LOGOUT or the end of the connection."""
        await self._say(f"* OK [CAPABILITY {CAPABILITIES}] Postroom sandbox")
        while not self._over:
            await self._answer(await self._next())

    async def _next(self) -> ClientCommand:
        while True:
            for event in self._commands:
                if not isinstance(event, LiteralAnnounced):
                    return event
                if event.waits:
                    await self._say("+ go on")
            data = await self._reader.read(CHUNK)
            if not data:
                raise ConnectionResetError
            self._commands.feed(data)

    async def _answer(self, command: ClientCommand) -> None:
        handler = _HANDLERS.get(command.name)
        try:
            if handler is None:
                raise _Refused("this command is not known here", "BAD")
            if handler not in _WITHOUT_LOGIN and self._account is None:
                raise _Refused("log in first")
            text = await handler(self, command)
        except _Refused as exc:
            await self._say(f"{command.tag} {exc.word} {exc}")
        except (ValueError, IndexError, TypeError):
            await self._say(f"{command.tag} BAD the arguments cannot be read")
        else:
            await self._tell_of_news()
            await self._say(f"{command.tag} OK {text}")

    async def _say(self, line: str | bytes) -> None:
        self._writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        await self._writer.drain()

    async def _tell_of_news(self) -> None:
        if self._folder is not None and len(self._folder.mails) != self._told:
            self._told = len(self._folder.mails)
            await self._say(f"* {self._told} EXISTS")

    def _selected(self) -> MailFolder:
        if self._folder is None:
            raise _Refused("select a mailbox first")
        return self._folder

    def _named(self, value: object) -> MailFolder:
        name = as_text(value)  # type: ignore[arg-type]  # a token, whichever it is
        name = "INBOX" if name.upper() == "INBOX" else name
        folder = (self._account or {}).get(name)
        if folder is None:
            raise _Refused("[NONEXISTENT] there is no such mailbox")
        return folder

    def _log_in(self, user: str, password: str) -> str:
        if password != self._password or "@" not in user:
            raise _Refused("[AUTHENTICATIONFAILED] wrong user name or password")
        self._account = self._world.account(user)
        return f"[CAPABILITY {CAPABILITIES}] logged in"

    # --- commands

    async def capability(self, command: ClientCommand) -> str:
        del command
        await self._say(f"* CAPABILITY {CAPABILITIES}")
        return "done"

    async def noop(self, command: ClientCommand) -> str:
        del command
        return "done"

    async def identify(self, command: ClientCommand) -> str:
        del command
        await self._say('* ID ("name" "Postroom sandbox")')
        return "done"

    async def logout(self, command: ClientCommand) -> str:
        del command
        self._over = True
        await self._say("* BYE until next time")
        return "done"

    async def login(self, command: ClientCommand) -> str:
        user, password = (as_text(value) for value in command.args[:2])
        return self._log_in(user, password)

    async def authenticate(self, command: ClientCommand) -> str:
        if as_text(command.args[0]).upper() != "PLAIN":
            raise _Refused("only PLAIN is known here")
        if len(command.args) > 1:
            response = as_bytes(command.args[1])
        else:
            await self._say("+ ")
            response = (await self._reader.readline()).strip()
        _, user, password = b64decode(response).decode().split("\0")
        return self._log_in(user, password)

    async def namespace(self, command: ClientCommand) -> str:
        del command
        await self._say('* NAMESPACE (("" "/")) NIL NIL')
        return "done"

    async def list_mailboxes(self, command: ClientCommand) -> str:
        del command
        for name in self._account or {}:
            attributes = f"\\HasNoChildren {SPECIAL[name]}".strip()
            await self._say(f'* LIST ({attributes}) "/" {name}')
        return "done"

    async def select(self, command: ClientCommand) -> str:
        folder = self._named(command.args[0])
        self._folder, self._told = folder, len(folder.mails)
        await self._say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        await self._say("* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] ok")
        await self._say(f"* {len(folder.mails)} EXISTS")
        await self._say(f"* OK [UIDVALIDITY {folder.uidvalidity}] ok")
        await self._say(f"* OK [UIDNEXT {folder.uidnext}] ok")
        return "[READ-WRITE] selected"

    async def unselect(self, command: ClientCommand) -> str:
        del command
        self._folder = None
        return "done"

    async def status(self, command: ClientCommand) -> str:
        folder = self._named(command.args[0])
        unseen = sum("\\Seen" not in mail.flags for mail in folder.mails)
        values = f"MESSAGES {len(folder.mails)} UIDNEXT {folder.uidnext} UIDVALIDITY {folder.uidvalidity}"
        await self._say(f"* STATUS {as_text(command.args[0])} ({values} UNSEEN {unseen})")
        return "done"

    async def fetch(self, command: ClientCommand) -> str:
        items = command.args[1] if isinstance(command.args[1], tuple) else (command.args[1],)
        wanted = [as_text(item).upper() for item in items]
        for number, mail in self._selected().chosen(as_text(command.args[0])):
            await self._say(_fetched(number, mail, wanted))
        return "fetched"

    async def store(self, command: ClientCommand) -> str:
        verb = as_text(command.args[1]).upper()
        given = command.args[2] if isinstance(command.args[2], tuple) else command.args[2:]
        flags = {as_text(flag) for flag in given}
        for number, mail in self._selected().chosen(as_text(command.args[0])):
            mail.flags = (
                mail.flags | flags
                if verb.startswith("+")
                else (mail.flags - flags if verb.startswith("-") else flags)
            )
            if not verb.endswith(".SILENT"):
                await self._say(f"* {number} FETCH (UID {mail.uid} FLAGS ({' '.join(sorted(mail.flags))}))")
        return "stored"

    async def search(self, command: ClientCommand) -> str:
        folder = self._selected()
        tests = list(_criteria([as_text(value) for value in command.args], folder))
        found = [str(mail.uid) for mail in folder.mails if all(test(mail) for test in tests)]
        await self._say(" ".join(("* SEARCH", *found)))
        return "searched"

    async def append(self, command: ClientCommand) -> str:
        folder = self._named(command.args[0])
        flags = next((value for value in command.args[1:] if isinstance(value, tuple)), ())
        uid = await folder.add(as_bytes(command.args[-1]), (as_text(flag) for flag in flags))
        return f"[APPENDUID {folder.uidvalidity} {uid}] stored"

    async def idle(self, command: ClientCommand) -> str:
        del command
        folder = self._selected()
        await self._tell_of_news()
        await self._say("+ idling")
        done = asyncio.ensure_future(self._next())
        try:
            while not done.done():
                news = asyncio.ensure_future(self._news(folder))
                await asyncio.wait({done, news}, timeout=IDLE_LIMIT, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                await self._tell_of_news()
        finally:
            done.cancel()
        return "done"

    async def _news(self, folder: MailFolder) -> None:
        async with folder.changed:
            await folder.changed.wait_for(lambda: len(folder.mails) != self._told)


Handler = Callable[[_Session, ClientCommand], Coroutine[Any, Any, str]]

_HANDLERS: dict[str, Handler] = {
    "CAPABILITY": _Session.capability,
    "NOOP": _Session.noop,
    "ID": _Session.identify,
    "LOGOUT": _Session.logout,
    "LOGIN": _Session.login,
    "AUTHENTICATE": _Session.authenticate,
    "NAMESPACE": _Session.namespace,
    "LIST": _Session.list_mailboxes,
    "SELECT": _Session.select,
    "EXAMINE": _Session.select,
    "UNSELECT": _Session.unselect,
    "CLOSE": _Session.unselect,
    "STATUS": _Session.status,
    "UID FETCH": _Session.fetch,
    "UID STORE": _Session.store,
    "UID SEARCH": _Session.search,
    "APPEND": _Session.append,
    "IDLE": _Session.idle,
}
_WITHOUT_LOGIN = {
    _Session.capability,
    _Session.noop,
    _Session.identify,
    _Session.logout,
    _Session.login,
    _Session.authenticate,
}


def _fetched(number: int, mail: StoredMail, wanted: Iterable[str]) -> bytes:
    parts = [b"UID %d" % mail.uid]
    for item in wanted:
        if item == "FLAGS":
            parts.append(f"FLAGS ({' '.join(sorted(mail.flags))})".encode())
        elif item == "INTERNALDATE":
            parts.append(f'INTERNALDATE "{mail.received_at:%d-%b-%Y %H:%M:%S +0000}"'.encode())
        elif item == "RFC822.SIZE":
            parts.append(b"RFC822.SIZE %d" % len(mail.raw))
        elif item.startswith("BODY"):
            section = item.partition("[")[2].rstrip("]")
            data = (
                mail.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if section.startswith("HEADER") else mail.raw
            )
            parts.append(f"BODY[{section}] {{{len(data)}}}\r\n".encode() + data)
    return b"* %d FETCH (%b)" % (number, b" ".join(parts))


def _criteria(words: list[str], folder: MailFolder) -> Iterable[Callable[[StoredMail], bool]]:
    """The tests of a SEARCH, all of which must hold (RFC 9051 section 6.4.4); what is not known matches."""
    rest = iter(words)
    for word in rest:
        match word.upper():
            case "UNSEEN":
                yield lambda mail: "\\Seen" not in mail.flags
            case "UID":
                uids = {mail.uid for _, mail in folder.chosen(next(rest))}
                yield lambda mail, uids=uids: mail.uid in uids
            case "SINCE":
                since = datetime.strptime(next(rest), "%d-%b-%Y").date()  # noqa: DTZ007 - a day
                yield lambda mail, since=since: mail.received_at.date() >= since
            case "HEADER":
                name, value = next(rest), next(rest)
                yield lambda mail, name=name, value=value: _has_header(mail.raw, name, value)


def _has_header(raw: bytes, name: str, value: str) -> bool:
    header = re.sub(rb"\r\n(?=[ \t])", b"", raw.partition(b"\r\n\r\n")[0])
    pattern = rb"(?im)^" + re.escape(name.encode()) + rb":.*" + re.escape(value.encode())
    return re.search(pattern, header) is not None
