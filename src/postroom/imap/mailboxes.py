"""Mailboxes as LIST shows them, SELECT opens them and STATUS counts them (RFC 9051 section 7.3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from postroom.imap.exchange import Untagged
from postroom.imap.mailbox_names import decode_name, has_control_characters
from postroom.imap.responses import Condition, Data, ResponseCode, Tagged
from postroom.imap.tokens import Value, as_bytes, as_number, as_text

MAX_MAILBOXES: Final = 20_000
"""Mailboxes of one account that are looked at; the rest of a LIST is dropped."""

_SELECT_CODES: Final = frozenset(
    {
        "UIDVALIDITY",
        "UIDNEXT",
        "HIGHESTMODSEQ",
        "NOMODSEQ",
        "PERMANENTFLAGS",
        "UNSEEN",
        "CLOSED",
        "UIDNOTSTICKY",
    }
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    r"""One line of LIST. `name` is for people, `raw` what the server wrote.

    `delimiter` is empty in a flat name space; `attributes` are lower case (`\sent`, `\noselect`).
    """

    name: str
    raw: bytes
    delimiter: str
    attributes: frozenset[str]

    @property
    def selectable(self) -> bool:
        """Whether it can hold messages."""
        return not self.attributes & {"\\noselect", "\\nonexistent"}


@dataclass(frozen=True, slots=True)
class Namespace:
    """Where one kind of mailbox lives (RFC 2342): the prefix of their names and the delimiter."""

    prefix: str
    delimiter: str


@dataclass(frozen=True, slots=True)
class Selected:
    """An open mailbox. `uidvalidity` and `uidnext` are None when the server did not tell (STATUS may)."""

    name: str
    exists: int
    uidvalidity: int | None
    uidnext: int | None
    highestmodseq: int | None
    permanent_flags: frozenset[str]
    read_only: bool


@dataclass(frozen=True, slots=True)
class Status:
    """What STATUS counted; None for what was not asked for or not told."""

    messages: int | None = None
    unseen: int | None = None
    uidnext: int | None = None
    uidvalidity: int | None = None


class ListClaim:
    """Takes the LIST responses of a command. Names with control characters are left out."""

    def __init__(self, *, utf8: bool) -> None:
        self._utf8 = utf8
        self.mailboxes: list[Mailbox] = []

    def __call__(self, response: Untagged) -> bool:
        if not isinstance(response, Data) or response.name != "LIST":
            return False
        mailbox = _mailbox(response.values, self._utf8)
        if mailbox is not None and len(self.mailboxes) < MAX_MAILBOXES:
            self.mailboxes.append(mailbox)
        return True


class NamespaceClaim:
    """Takes the NAMESPACE response: the personal ones."""

    def __init__(self, *, utf8: bool) -> None:
        self._utf8 = utf8
        self.personal: tuple[Namespace, ...] = ()

    def __call__(self, response: Untagged) -> bool:
        if not isinstance(response, Data) or response.name != "NAMESPACE":
            return False
        personal = response.values[0] if response.values else None
        if isinstance(personal, tuple):
            self.personal = tuple(
                Namespace(decode_name(as_bytes(each[0]), utf8=self._utf8), as_text(each[1]))
                for each in personal
                if isinstance(each, tuple) and len(each) > 1
            )
        return True


class SelectClaim:
    """Takes what SELECT or EXAMINE says about the mailbox."""

    def __init__(self) -> None:
        self._exists = 0
        self._flags: frozenset[str] = frozenset()
        self._codes: dict[str, ResponseCode] = {}

    def __call__(self, response: Untagged) -> bool:
        if isinstance(response, Condition):
            code = response.code
            if code is None or code.name not in _SELECT_CODES:
                return False
            self._codes[code.name] = code
            return True
        if not isinstance(response, Data) or response.name not in {"EXISTS", "RECENT", "FLAGS"}:
            return False
        if response.name == "EXISTS":
            self._exists = response.number or 0
        elif response.name == "FLAGS":
            self._flags = _words(response.values)
        return True

    def selected(self, name: str, tagged: Tagged, *, examined: bool) -> Selected:
        """What is known once the command has ended well."""
        permanent = self._codes.get("PERMANENTFLAGS")
        read_only = tagged.code is not None and tagged.code.name == "READ-ONLY"
        return Selected(
            name,
            exists=self._exists,
            uidvalidity=self._number("UIDVALIDITY"),
            uidnext=self._number("UIDNEXT"),
            highestmodseq=self._number("HIGHESTMODSEQ"),
            permanent_flags=self._flags if permanent is None else _words(permanent.values),
            read_only=examined or read_only,
        )

    def _number(self, name: str) -> int | None:
        code = self._codes.get(name)
        return code.number() if code is not None else None


class StatusClaim:
    """Takes the STATUS response."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __call__(self, response: Untagged) -> bool:
        if not isinstance(response, Data) or response.name != "STATUS":
            return False
        for value in response.values:
            if isinstance(value, tuple):
                self._counts.update(_counts(value))
        return True

    def status(self) -> Status:
        """What is known once the command has ended."""
        get = self._counts.get
        return Status(get("MESSAGES"), get("UNSEEN"), get("UIDNEXT"), get("UIDVALIDITY"))


def _mailbox(values: tuple[Value, ...], utf8: bool) -> Mailbox | None:
    if len(values) < 3 or not isinstance(values[0], tuple):
        return None
    raw = as_bytes(values[2])
    name = decode_name(raw, utf8=utf8)
    if not name or has_control_characters(name):
        return None
    attributes = frozenset(flag.lower() for flag in values[0] if isinstance(flag, str))
    return Mailbox(name, raw, as_text(values[1]), attributes)


def _words(values: Iterable[Value]) -> frozenset[str]:
    words: set[str] = set()
    for value in values:
        if isinstance(value, tuple):
            words |= _words(value)
        elif isinstance(value, str):
            words.add(value)
    return frozenset(words)


def _counts(pairs: tuple[Value, ...]) -> dict[str, int]:
    numbers = ((name, as_number(count)) for name, count in zip(pairs[::2], pairs[1::2], strict=False))
    return {as_text(name).upper(): number for name, number in numbers if number is not None}
