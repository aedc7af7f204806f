"""One IMAP client: its commands, answered from the mailboxes in memory."""

import asyncio
import re
from base64 import b64decode
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any

from postroom.imap.tokens import Value, as_bytes, as_text
from postroom.imap.wire import ClientCommand, CommandReader, Limits, LiteralAnnounced
from postroom.sandbox.imap_fetch import fetched, wanted
from postroom.sandbox.imap_search import found
from postroom.sandbox.imap_view import View, flag_list
from postroom.sandbox.mailboxes import MailFolder, MailWorld

CAPABILITIES = "IMAP4rev1 LITERAL+ SASL-IR ID IDLE UIDPLUS SPECIAL-USE NAMESPACE UNSELECT AUTH=PLAIN"
FLAGS = "\\Answered \\Flagged \\Deleted \\Seen \\Draft"
CHUNK = 65_536
SIZE_LIMIT = 40 * 1024 * 1024
_KEEPS_NUMBERS = ("FETCH", "STORE", "SEARCH")
"""Commands during which nothing may be expunged before the client's eyes (RFC 9051 section 7.5.1)."""


class _Refused(Exception):
    """The command is answered NO (or BAD); the text is the answer."""

    def __init__(self, text: str, word: str = "NO") -> None:
        super().__init__(text)
        self.word = word


class ImapSession:
    """One connection from greeting to its end."""

    def __init__(
        self, world: MailWorld, password: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._world = world
        self._password = password
        self._reader = reader
        self._writer = writer
        self._commands = CommandReader(Limits(literal=SIZE_LIMIT))
        self._account: dict[str, MailFolder] | None = None
        self._view: View | None = None
        self._over = False

    async def run(self) -> None:
        """Greet, then answer commands until LOGOUT. Raises `ConnectionError` when the client goes away."""
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
        except (ValueError, IndexError, StopIteration):
            await self._say(f"{command.tag} BAD the arguments cannot be read")
        else:
            if command.name not in _KEEPS_NUMBERS:
                await self._tell_of_news()
            await self._say(f"{command.tag} OK {text}")

    async def _say(self, line: str | bytes) -> None:
        self._writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        await self._writer.drain()

    async def _tell_of_news(self) -> None:
        if self._view is not None:
            for line in self._view.news():
                await self._say(line)

    def _selected(self) -> View:
        if self._view is None:
            raise _Refused("select a mailbox first")
        return self._view

    def _writable(self) -> View:
        view = self._selected()
        if not view.writable:
            raise _Refused("the mailbox was opened to be read only")
        return view

    def _folder(self, value: Value) -> MailFolder:
        name = _mailbox_name(value)
        folder = (self._account or {}).get(name)
        if folder is None:
            raise _Refused("[TRYCREATE] there is no such mailbox")
        return folder

    def _log_in(self, user: str, password: str) -> str:
        if password != self._password or "@" not in user:
            raise _Refused("[AUTHENTICATIONFAILED] wrong user name or password")
        self._account = self._world.account(user)
        return f"[CAPABILITY {CAPABILITIES}] logged in"

    # --- commands: each says its untagged responses and gives the text of its OK

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
        self._view = None
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
            response = (await self._next()).line
        _, user, password = b64decode(response, validate=True).decode().split("\0")
        return self._log_in(user, password)

    async def namespace(self, command: ClientCommand) -> str:
        del command
        await self._say('* NAMESPACE (("" "/")) NIL NIL')
        return "done"

    async def list_mailboxes(self, command: ClientCommand) -> str:
        reference, pattern = [as_text(value) for value in command.args if not isinstance(value, tuple)][:2]
        if not pattern:
            await self._say(f'* {command.name} (\\Noselect) "/" ""')
            return "done"
        fits = re.compile(re.sub(r"\\\*|%", ".*", re.escape(reference + pattern)), re.IGNORECASE)
        for name, folder in (self._account or {}).items():
            if fits.fullmatch(name):
                attributes = f"\\HasNoChildren {folder.attribute}".strip()
                await self._say(f'* {command.name} ({attributes}) "/" {_quoted(name)}')
        return "done"

    async def create(self, command: ClientCommand) -> str:
        account = self._account or {}
        name = _mailbox_name(command.args[0])
        if name in account:
            raise _Refused("[ALREADYEXISTS] there is such a mailbox")
        account[name] = MailFolder()
        return "created"

    async def select(self, command: ClientCommand) -> str:
        self._view = None
        folder = self._folder(command.args[0])
        writable = command.name == "SELECT"
        permanent = f"{FLAGS} \\*" if writable else ""
        await self._say(f"* FLAGS ({FLAGS})")
        await self._say(f"* OK [PERMANENTFLAGS ({permanent})] ok")
        await self._say(f"* {len(folder.mails)} EXISTS")
        await self._say("* 0 RECENT")
        await self._say(f"* OK [UIDVALIDITY {folder.uidvalidity}] ok")
        await self._say(f"* OK [UIDNEXT {folder.uidnext}] ok")
        self._view = View(folder, writable=writable)
        return f"[READ-{'WRITE' if writable else 'ONLY'}] selected"

    async def unselect(self, command: ClientCommand) -> str:
        view = self._selected()
        self._view = None
        if command.name == "CLOSE" and view.writable:
            view.folder.expunge([mail for mail in view.folder.mails if "\\Deleted" in mail.flags])
        return "done"

    async def status(self, command: ClientCommand) -> str:
        folder = self._folder(command.args[0])
        known = {
            "MESSAGES": len(folder.mails),
            "RECENT": 0,
            "UIDNEXT": folder.uidnext,
            "UIDVALIDITY": folder.uidvalidity,
            "UNSEEN": sum("\\Seen" not in mail.flags for mail in folder.mails),
        }
        asked = command.args[1]
        names = [as_text(item).upper() for item in asked] if isinstance(asked, tuple) else []
        pairs = " ".join(f"{name} {known[name]}" for name in names if name in known)
        await self._say(f"* STATUS {_quoted(_mailbox_name(command.args[0]))} ({pairs})")
        return "done"

    async def fetch(self, command: ClientCommand) -> str:
        by_uid = command.name.startswith("UID")
        view = self._selected()
        items = wanted(command.args[1], by_uid=by_uid)
        for number, mail in view.chosen(as_text(command.args[0]), by_uid=by_uid):
            if items.marks_as_read and view.writable:
                view.flag(mail, mail.flags | {"\\Seen"})
            await self._say(fetched(number, mail, items))
        return "fetched"

    async def store(self, command: ClientCommand) -> str:
        by_uid = command.name.startswith("UID")
        view = self._writable()
        verb = as_text(command.args[1]).upper()
        given = command.args[2] if isinstance(command.args[2], tuple) else command.args[2:]
        flags = frozenset(as_text(flag) for flag in given)
        for number, mail in view.chosen(as_text(command.args[0]), by_uid=by_uid):
            view.flag(mail, _stored(verb, mail.flags, flags))
            if not verb.endswith(".SILENT"):
                uid = f"UID {mail.uid} " if by_uid else ""
                await self._say(f"* {number} FETCH ({uid}FLAGS {flag_list(mail.flags)})")
        return "stored"

    async def search(self, command: ClientCommand) -> str:
        by_uid = command.name.startswith("UID")
        words = [as_text(value) for value in command.args]
        numbers = found(self._selected(), words, by_uid=by_uid)
        await self._say(" ".join(("* SEARCH", *map(str, numbers))))
        return "searched"

    async def expunge(self, command: ClientCommand) -> str:
        view = self._writable()
        chosen = view.chosen(as_text(command.args[0]), by_uid=True) if command.args else view.numbered()
        view.folder.expunge([mail for _, mail in chosen if "\\Deleted" in mail.flags])
        return "expunged"

    async def append(self, command: ClientCommand) -> str:
        folder = self._folder(command.args[0])
        flags: tuple[Value, ...] = ()
        received_at = None
        for value in command.args[1:-1]:
            if isinstance(value, tuple):
                flags = value
            else:
                received_at = datetime.strptime(as_text(value).strip(), "%d-%b-%Y %H:%M:%S %z")
        mail = folder.add(as_bytes(command.args[-1]), (as_text(flag) for flag in flags), received_at)
        return f"[APPENDUID {folder.uidvalidity} {mail.uid}] stored"

    async def idle(self, command: ClientCommand) -> str:
        del command
        view = self._selected()
        with view.folder.listening() as bell:
            await self._say("+ idling")
            await self._tell_of_news()
            done = asyncio.create_task(self._next())
            try:
                while not done.done():
                    await _first_of(done, bell)
                    bell.clear()
                    await self._tell_of_news()
                if (await done).line.strip().upper() != b"DONE":
                    raise _Refused("only DONE ends IDLE", "BAD")
            finally:
                done.cancel()
        return "done"


async def _first_of(done: asyncio.Task[ClientCommand], bell: asyncio.Event) -> None:
    rung = asyncio.create_task(bell.wait())
    try:
        await asyncio.wait({done, rung}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        rung.cancel()
        with suppress(asyncio.CancelledError):
            await rung


def _mailbox_name(value: Value) -> str:
    name = as_text(value)
    return "INBOX" if name.upper() == "INBOX" else name


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _stored(verb: str, old: frozenset[str], given: frozenset[str]) -> frozenset[str]:
    if verb.startswith("+"):
        return old | given
    return old - given if verb.startswith("-") else given


Handler = Callable[[ImapSession, ClientCommand], Coroutine[Any, Any, str]]

_HANDLERS: dict[str, Handler] = {
    "CAPABILITY": ImapSession.capability,
    "NOOP": ImapSession.noop,
    "CHECK": ImapSession.noop,
    "ID": ImapSession.identify,
    "LOGOUT": ImapSession.logout,
    "LOGIN": ImapSession.login,
    "AUTHENTICATE": ImapSession.authenticate,
    "NAMESPACE": ImapSession.namespace,
    "LIST": ImapSession.list_mailboxes,
    "LSUB": ImapSession.list_mailboxes,
    "SUBSCRIBE": ImapSession.noop,
    "UNSUBSCRIBE": ImapSession.noop,
    "CREATE": ImapSession.create,
    "SELECT": ImapSession.select,
    "EXAMINE": ImapSession.select,
    "UNSELECT": ImapSession.unselect,
    "CLOSE": ImapSession.unselect,
    "STATUS": ImapSession.status,
    "FETCH": ImapSession.fetch,
    "UID FETCH": ImapSession.fetch,
    "STORE": ImapSession.store,
    "UID STORE": ImapSession.store,
    "SEARCH": ImapSession.search,
    "UID SEARCH": ImapSession.search,
    "EXPUNGE": ImapSession.expunge,
    "UID EXPUNGE": ImapSession.expunge,
    "APPEND": ImapSession.append,
    "IDLE": ImapSession.idle,
}
_WITHOUT_LOGIN = {_HANDLERS[name] for name in ("CAPABILITY", "NOOP", "ID", "LOGOUT", "LOGIN", "AUTHENTICATE")}
