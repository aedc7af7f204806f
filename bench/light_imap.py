"""A light IMAP server for thousands of idle connections, in a process of its own.

Every user name is a mailbox and every password right; mailboxes are empty until something is delivered.
It says what a well-behaved server says (RFC 9051), and keeps little of each connection. On its standard
input it takes orders, a line each, and answers each with one line on its standard output; see `LightImap`.
"""

import asyncio
import os
import re
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

BACKLOG = 4096
_CAPABILITIES = (
    b"IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN IDLE ID ENABLE UNSELECT UIDPLUS SPECIAL-USE LIST-EXTENDED"
)
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")
_NAMED = re.compile(rb'"?(INBOX|Sent)"?', re.IGNORECASE)
_LIST = (
    b'* LIST (\\HasNoChildren) "/" INBOX\r\n'
    b'* LIST (\\HasNoChildren \\Sent) "/" Sent\r\n'
    b'* LIST (\\HasNoChildren \\Junk) "/" Junk\r\n'
)


@dataclass(slots=True)
class Stage:
    """Everything that is there: the mail of each user's INBOX, and who IDLEs."""

    mail: dict[str, list[bytes]] = field(default_factory=dict)
    idling: dict[str, set["Session"]] = field(default_factory=dict)
    idle: int = 0
    first_connection: float = 0.0
    commands: int = 0

    def deliver(self, user: str, raw: bytes) -> None:
        """Put a mail into an INBOX and announce it to those who IDLE there."""
        self.mail.setdefault(user, []).append(raw)
        for session in self.idling.get(user, ()):
            session.announce()


class Session(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_literal", "_rest", "_seen", "_stage", "_tag", "_transport", "_user")

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._transport: asyncio.WriteTransport | None = None
        self._rest = b""
        self._literal = 0
        self._user = ""
        self._tag = b""
        self._seen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._stage.first_connection = self._stage.first_connection or time.monotonic()
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no asyncio transports
        self._say(b"* OK [CAPABILITY " + _CAPABILITIES + b"] light\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        del exc
        self._leave_idle()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take what is complete."""
        data = self._rest + data
        while True:
            if self._literal:
                skipped = min(self._literal, len(data))
                self._literal, data = self._literal - skipped, data[skipped:]
            line, end, rest = data.partition(b"\r\n")
            if self._literal or not end:
                break
            data = rest
            self._line(line)
        self._rest = data

    def announce(self) -> None:
        """Tell how many messages there are."""
        self._seen = len(self._stage.mail.get(self._user, ()))
        self._say(b"* %d EXISTS\r\n" % self._seen)

    def _line(self, line: bytes) -> None:
        if self._tag:
            if literal := _LITERAL.search(line):
                self._begin_literal(literal)
            elif line.upper() == b"DONE":
                self._leave_idle()
                self._end(self._tag, b"IDLE")
            elif not line:
                self._end(self._tag, b"APPEND")
            return
        tag, _, command = line.partition(b" ")
        self._stage.commands += 1
        verb, _, rest = command.partition(b" ")
        verb = verb.upper()
        if literal := _LITERAL.search(rest):
            self._tag = tag
            self._begin_literal(literal)
        elif verb == b"IDLE":
            self._enter_idle(tag)
        else:
            self._do(verb, rest)
            self._end(tag, verb)

    def _begin_literal(self, literal: re.Match[bytes]) -> None:
        self._literal = int(literal[1])
        if not literal[2]:
            self._say(b"+ go on\r\n")

    def _do(self, verb: bytes, rest: bytes) -> None:
        if verb == b"LOGIN":
            self._user = rest.split(b" ")[0].strip(b'"').decode()
        elif verb == b"AUTHENTICATE":
            self._user = _plain_user(rest)
        elif verb == b"CAPABILITY":
            self._say(b"* CAPABILITY " + _CAPABILITIES + b"\r\n")
        elif verb == b"LIST":
            self._say(_LIST)
        elif verb == b"ID":
            self._say(b'* ID ("name" "light")\r\n')
        elif verb in (b"SELECT", b"EXAMINE"):
            self._select(rest)
        elif verb == b"STATUS":
            self._status(rest)
        elif verb == b"UID":
            self._uid(rest)
        elif verb == b"NOOP" and self._seen < len(self._stage.mail.get(self._user, ())):
            self.announce()
        elif verb == b"LOGOUT":
            self._say(b"* BYE\r\n")

    def _end(self, tag: bytes, verb: bytes) -> None:
        self._tag = b""
        code = b"[CAPABILITY " + _CAPABILITIES + b"] " if verb in (b"LOGIN", b"AUTHENTICATE") else b""
        self._say(tag + b" OK " + code + b"done\r\n")
        if verb == b"LOGOUT" and self._transport is not None:
            self._transport.close()

    # --- commands -------------------------------------------------------------------------------------

    def _enter_idle(self, tag: bytes) -> None:
        self._tag = tag
        self._stage.idling.setdefault(self._user, set()).add(self)
        self._stage.idle += 1
        self._say(b"+ idling\r\n")
        if self._seen < len(self._stage.mail.get(self._user, ())):
            self.announce()

    def _leave_idle(self) -> None:
        idling = self._stage.idling.get(self._user)
        if idling is not None and self in idling:
            idling.discard(self)
            self._stage.idle -= 1

    def _inbox(self, name: bytes) -> list[bytes]:
        found = _NAMED.match(name)
        inbox = found is not None and found[1].upper() == b"INBOX"
        return self._stage.mail.get(self._user, []) if inbox else []

    def _select(self, rest: bytes) -> None:
        self._seen = exists = len(self._inbox(rest))
        self._say(
            b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
            b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] kept\r\n"
            b"* %d EXISTS\r\n* 0 RECENT\r\n"
            b"* OK [UIDVALIDITY 1] valid\r\n* OK [UIDNEXT %d] next\r\n" % (exists, exists + 1)
        )

    def _status(self, rest: bytes) -> None:
        name = rest.partition(b" (")[0]
        count = len(self._inbox(name))
        self._say(
            b"* STATUS %s (MESSAGES %d UNSEEN 0 UIDNEXT %d UIDVALIDITY 1)\r\n" % (name, count, count + 1)
        )

    def _uid(self, rest: bytes) -> None:
        verb, _, rest = rest.partition(b" ")
        mail = self._stage.mail.get(self._user, [])
        if verb.upper() == b"SEARCH":
            found = b"" if b"HEADER" in rest else b"".join(b" %d" % uid for uid in range(1, len(mail) + 1))
            self._say(b"* SEARCH" + found + b"\r\n")
        elif verb.upper() == b"FETCH":
            uids, _, items = rest.partition(b" ")
            for uid in _numbers(uids, len(mail)):
                self._say(b"* %d FETCH (%s)\r\n" % (uid, _fetched(uid, mail[uid - 1], items)))

    def _say(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _plain_user(rest: bytes) -> str:
    import base64

    return base64.b64decode(rest.split(b" ")[-1]).split(b"\0")[1].decode()


def _numbers(uids: bytes, highest: int) -> list[int]:
    found = set()
    for each in uids.split(b","):
        low, _, high = each.partition(b":")
        ends = sorted(highest if end == b"*" else int(end) for end in (low, high or low))
        found |= set(range(max(ends[0], 1), min(ends[1], highest) + 1))
    return sorted(found)


def _fetched(uid: int, raw: bytes, items: bytes) -> bytes:
    said = [b"UID %d" % uid]
    if b"FLAGS" in items:
        said.append(b"FLAGS ()")
    if b"INTERNALDATE" in items:
        said.append(time.strftime('INTERNALDATE "%d-%b-%Y %H:%M:%S +0000"', time.gmtime()).encode())
    if b"RFC822.SIZE" in items:
        said.append(b"RFC822.SIZE %d" % len(raw))
    if b"[HEADER]" in items:
        header = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        said.append(b"BODY[HEADER] {%d}\r\n%s" % (len(header), header))
    if b"BODY.PEEK[]" in items:
        said.append(b"BODY[] {%d}\r\n%s" % (len(raw), raw))
    return b" ".join(said)


# --- the process ------------------------------------------------------------------------------------------


async def _serve(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stage = Stage()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Session(stage), "127.0.0.1", 0, ssl=context, backlog=BACKLOG, ssl_handshake_timeout=120
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    while order := await asyncio.to_thread(sys.stdin.buffer.readline):
        print(_obeyed(order.split(), stage), flush=True)


def _obeyed(order: list[bytes], stage: Stage) -> str:
    if order[0] == b"DELIVER":
        raw = sys.stdin.buffer.read(int(order[2]))
        stage.deliver(order[1].decode(), raw)
        return f"{time.monotonic():.6f}"
    if order[0] == b"FORGET":
        stage.first_connection = 0.0
    return f"{stage.idle} {stage.first_connection:.6f} {stage.commands}"


def raise_file_limit() -> None:
    """As many open files as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


# --- for who starts it --------------------------------------------------------------------------------------


@dataclass(slots=True)
class LightImap:
    """A running light server."""

    port: int
    process: "subprocess.Popen[bytes]"

    def idling(self) -> int:
        """How many connections IDLE now."""
        return int(self._order(b"COUNT\n").split()[0])

    def first_connection(self) -> float:
        """When the first one came (monotonic seconds)."""
        return float(self._order(b"COUNT\n").split()[1])

    def forget(self) -> None:
        """The next connection is the first one again."""
        self._order(b"FORGET\n")

    def commands(self) -> int:
        """How many commands it was given."""
        return int(self._order(b"COUNT\n").split()[2])

    def deliver(self, user: str, raw: bytes) -> float:
        """Put a mail into an INBOX; when it was announced (monotonic seconds)."""
        return float(self._order(f"DELIVER {user} {len(raw)}\n".encode() + raw))

    def until_idling(self, count: int, seconds: float, alive: Callable[[], bool]) -> float:
        """When so many connections IDLE (monotonic seconds). Raises `TimeoutError`."""
        ends = time.monotonic() + seconds
        while (now := self.idling()) < count:
            if time.monotonic() > ends or not alive():
                raise TimeoutError(f"{now} of {count} connections IDLE")
            time.sleep(0.05)
        return time.monotonic()

    def _order(self, order: bytes) -> bytes:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(order)
        self.process.stdin.flush()
        return self.process.stdout.readline()


@contextmanager
def running_light_imap(certificate: Path, key: Path) -> Iterator[LightImap]:
    """A light server on a free port of loopback, ended afterwards."""
    command = [sys.executable, "-m", "bench.light_imap", str(certificate), str(key)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1], env=os.environ
    ) as process:
        assert process.stdout is not None
        try:
            yield LightImap(int(process.stdout.readline()), process)
        finally:
            process.kill()


if __name__ == "__main__":
    import uvloop

    raise_file_limit()
    uvloop.run(_serve(*sys.argv[1:3]))
