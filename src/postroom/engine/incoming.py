"""Mail that a provider posts to us (B3): it takes the same path as mail that was read from a mailbox."""

import re
from dataclasses import dataclass, field

from postroom.core.errors import InvalidInput, Problem
from postroom.core.model import Site, Source
from postroom.core.ports import Clock
from postroom.core.registry import Sites, Things
from postroom.engine.ingest import Ingest, Taken
from postroom.engine.read import Arrived
from postroom.mail.address import AddressError, check_address, normalise
from postroom.mail.message import Address

FOLD = re.compile(r"\r?\n[ \t]+|\t")
LINES = ("subject", "message_id", "in_reply_to", "references")


@dataclass(frozen=True, slots=True)
class IncomingPost:
    """The documented body of `POST /email/incoming`; ids with or without angle brackets."""

    from_address: str
    to_address: str
    body: str = field(repr=False)
    subject: str = ""
    message_id: str = ""
    in_reply_to: str = ""
    references: str = ""


class Incoming:
    """Takes posts."""

    def __init__(self, sites: Sites, things: Things, ingest: Ingest, clock: Clock) -> None:
        self._sites = sites
        self._things = things
        self._ingest = ingest
        self._clock = clock

    async def owner_of(self, to_address: str) -> Site | None:
        """The site that owns the address, or None; also for what is no address."""
        try:
            address = check_address(to_address, "/to_address").address
        except AddressError:
            return None
        return await self._sites.owner_of(normalise(address))

    async def take(self, site: Site, post: IncomingPost, key: str = "") -> Taken:
        """Make the post a message of the site, unless it is known already.

        `key`: the id that the message gets; a post taken before under it is known. Raises `InvalidInput`.
        """
        raw = raw_of(post)
        known = await self._things.message(key) if key else None
        if known is not None:
            return Taken(known, known=True)
        arrived = Arrived(Source.WEBHOOK, raw, self._clock.now(), len(raw), key=key)
        return (await self._ingest.take(site, [arrived]))[0]


def raw_of(post: IncomingPost) -> bytes:
    """The post as a message (RFC 5322, header in UTF-8 as RFC 6532 has it), with the fields it named and
    no others. Raises `InvalidInput` with JSON pointers."""
    lines = {name: _unfolded(getattr(post, name)) for name in LINES}
    problems = [
        Problem(f"/{name}", "must be one line without control characters")
        for name, line in lines.items()
        if _has_controls(line)
    ]
    if problems:
        raise InvalidInput(problems)
    fields = [
        ("From", _written(_address(post.from_address, "/from_address"))),
        ("To", _written(_address(post.to_address, "/to_address"))),
        ("Subject", lines["subject"]),
        ("Message-ID", _bracketed(lines["message_id"])),
        ("In-Reply-To", _bracketed(lines["in_reply_to"])),
        ("References", " ".join(_bracketed(one) for one in lines["references"].replace(">", "> ").split())),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
    ]
    header = "".join(f"{name}: {value}\r\n" for name, value in fields if value)
    return f"{header}\r\n{post.body}".encode("utf-8", "replace")


def _address(value: str, pointer: str) -> Address:
    try:
        return check_address(value, pointer)
    except AddressError as exc:
        raise InvalidInput([Problem(pointer, str(exc).removeprefix(f"{pointer}: "))]) from exc


def _written(address: Address) -> str:
    if not address.name:
        return f"<{address.address}>"
    quoted = address.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address.address}>'


def _unfolded(value: str) -> str:
    # Providers hand header values on as they stood in the mail, folded (RFC 5322 section 2.2.3).
    return FOLD.sub(" ", value).strip()


def _bracketed(value: str) -> str:
    text = value.strip()
    return text if not text or text.startswith("<") else f"<{text}>"


def _has_controls(value: str) -> bool:
    return any(ch < " " or ch in "\x7f\x85\u2028\u2029" for ch in value)
