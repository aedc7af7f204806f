"""FETCH (RFC 9051 sections 6.4.5 and 7.5.2): what is asked of a message, and what comes of it.

Bodies are only ever asked for with PEEK, so that reading leaves no trace.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Final

from postroom.imap.errors import ImapNoBody
from postroom.imap.exchange import Untagged
from postroom.imap.mailbox_names import decode_name
from postroom.imap.responses import Data
from postroom.imap.tokens import Value, as_bytes, as_number
from postroom.imap.uids import UidSet


class FetchItem(Enum):
    """What can be asked of a message: how it is asked for, and the name its answer comes under."""

    FLAGS = "FLAGS", "FLAGS"
    INTERNALDATE = "INTERNALDATE", "INTERNALDATE"
    SIZE = "RFC822.SIZE", "RFC822.SIZE"
    HEADER = "BODY.PEEK[HEADER]", "BODY[HEADER]"
    BODY = "BODY.PEEK[]", "BODY[]"
    GMAIL_ID = "X-GM-MSGID", "X-GM-MSGID"
    GMAIL_THREAD = "X-GM-THRID", "X-GM-THRID"
    GMAIL_LABELS = "X-GM-LABELS", "X-GM-LABELS"

    def __init__(self, asked: str, answered: str) -> None:
        self.asked = asked
        self.answered = answered


GMAIL_ITEMS: Final = frozenset({FetchItem.GMAIL_ID, FetchItem.GMAIL_THREAD, FetchItem.GMAIL_LABELS})
"""Only for servers with X-GM-EXT-1."""

_BYTES: Final = (FetchItem.HEADER, FetchItem.BODY)


@dataclass(frozen=True, slots=True)
class Fetched:
    """One message as the server gave it. What was not asked for, or not told, is None (or empty).

    `internaldate` is aware, `size` in bytes; `gmail_labels` are as people read them, system ones with a
    backslash.
    """

    uid: int
    flags: frozenset[str] | None = None
    internaldate: datetime | None = None
    size: int | None = None
    header: bytes | None = field(default=None, repr=False)
    body: bytes | None = field(default=None, repr=False)
    gmail_id: int | None = None
    gmail_thread: int | None = None
    gmail_labels: tuple[str, ...] = field(default=(), repr=False)

    @property
    def weight(self) -> int:
        """About how many bytes of memory this holds."""
        return 512 + len(self.header or b"") + len(self.body or b"")


class FetchGathering:
    """Puts messages together from FETCH responses. A server may split one message over several, mix in flag
    changes of others, and leave out messages that are gone.
    """

    def __init__(self, uids: UidSet, items: Collection[FetchItem]) -> None:
        self._uids = uids
        self._items = frozenset(items)
        self._wanted = frozenset(item.answered for item in items)
        self._partial: dict[int, dict[str, Value]] = {}
        self._given: set[int] = set()

    def take(self, response: Untagged) -> Fetched | bool:
        """A message that is complete now; True when the response belongs to one that is not; else False."""
        if not isinstance(response, Data) or response.name != "FETCH":
            return False
        told = _attributes(response.values)
        uid = as_number(told.get("UID"))
        if uid is None or uid not in self._uids or uid in self._given:
            return False
        known = self._partial.pop(uid, None)
        told = told if known is None else known | told
        if not self._wanted <= told.keys() or self._lacks_bytes(told):
            self._partial[uid] = told
            return True
        self._given.add(uid)
        return _fetched(uid, told)

    def rest(self) -> Iterator[Fetched]:
        """Once the command has ended: messages of which something small was left out, and then ImapNoBody if
        header or body of any was.
        """
        lacking = []
        for uid, told in sorted(self._partial.items()):
            if self._lacks_bytes(told):
                lacking.append(uid)
            else:
                yield _fetched(uid, told)
        if lacking:
            raise ImapNoBody(tuple(lacking))

    def _lacks_bytes(self, told: dict[str, Value]) -> bool:
        return any(_lacking(told, item.answered) for item in _BYTES if item in self._items)


def _lacking(told: dict[str, Value], name: str) -> bool:
    """Whether bytes are missing: not told, NIL, or empty for a message with a size (RFC 2180 section 4.1)."""
    value = told.get(name)
    if isinstance(value, str):
        return False
    return value is None or (value == b"" and (as_number(told.get("RFC822.SIZE")) or 0) > 0)


def _attributes(values: tuple[Value, ...]) -> dict[str, Value]:
    found = values[0] if values and isinstance(values[0], tuple) else values
    return {
        name.upper(): value
        for name, value in zip(found[::2], found[1::2], strict=False)
        if isinstance(name, str)
    }


def _fetched(uid: int, told: dict[str, Value]) -> Fetched:
    return Fetched(
        uid,
        flags=_flags(told.get("FLAGS")),
        internaldate=read_date_time(told.get("INTERNALDATE")),
        size=as_number(told.get("RFC822.SIZE")),
        header=_bytes(told.get("BODY[HEADER]")),
        body=_bytes(told.get("BODY[]")),
        gmail_id=as_number(told.get("X-GM-MSGID")),
        gmail_thread=as_number(told.get("X-GM-THRID")),
        gmail_labels=_labels(told.get("X-GM-LABELS")),
    )


def _bytes(value: Value) -> bytes | None:
    return value.encode("latin-1") if isinstance(value, str) else value if isinstance(value, bytes) else None


def _flags(value: Value) -> frozenset[str] | None:
    return frozenset(flag for flag in value if isinstance(flag, str)) if isinstance(value, tuple) else None


def _labels(value: Value) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        return ()
    return tuple(decode_name(as_bytes(label)) for label in value if not isinstance(label, tuple))


_DATE_TIME: Final = re.compile(
    rb" *(\d{1,2})-([A-Za-z]{3})-(\d{4}) +(\d{1,2}):(\d{2}):(\d{2})(?: +([+-])(\d{2})(\d{2}))?"
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}


def read_date_time(value: Value) -> datetime | None:
    """INTERNALDATE as an aware datetime (without a zone: UTC); None for what is no date."""
    match = _DATE_TIME.match(value) if isinstance(value, bytes) else None
    if match is None:
        return None
    day, month, year, hour, minute, second = match.group(1, 2, 3, 4, 5, 6)
    offset = timedelta(hours=int(match[8] or 0), minutes=int(match[9] or 0))
    try:
        zone = timezone(-offset if match[7] == b"-" else offset)
        number = _MONTHS[month.lower()]
        return datetime(
            int(year), number, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=zone
        )
    except (ValueError, KeyError):
        return None
