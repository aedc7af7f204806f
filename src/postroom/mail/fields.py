"""Writing header fields: folding (RFC 5322), words in any script (RFC 2047), parameters (RFC 2231).

A field is built from chunks that each begin with one space, and a line may be broken in front of a chunk
only. So no message id, quoted string or encoded word can be folded inside, and nothing that is not one
line of text gets in.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence

import idna

from postroom.mail.message import Address

_LINE = 78  # RFC 5322 section 2.1.1: what folding aims at
_LONGEST_CHUNK = 960  # octets that may stand unbroken beside a field name; a line holds 998 at most
_LONGEST_ADDRESS = 320  # octets, RFC 5321 section 4.5.3.1: 64, the @, 255
_LONGEST_NAME = 200  # characters of an ASCII display name that is still written as it is
_LONGEST_VALUE = 60  # characters of a parameter that share a line with its name

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,64}")
_PRINTABLE = re.compile(r"[!-~]+(?: +[!-~]+)*")
_PLAIN_HEAD = re.compile(r"(?:[!-~]+ )+(?=[^ ])")
_BREAK = re.compile(r"(?<=[^ ])(?= [^ ])")  # single spaces only: some readers shorten a folded run
_ATOM = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+", re.ASCII)
_SIMPLE_VALUE = re.compile(r"[\w.,()+@&-](?:[\w .,()+@&-]*[\w.,()+@&-])?", re.ASCII)
_BEYOND_ASCII = r"\u00a1-\U0010ffff"
_QUOTED_LOCAL = rf'"(?:[ !#-\[\]-~{_BEYOND_ASCII}]|\\[ -~])*"'
_LOCAL_PART = re.compile(rf"[\w.!#$%&'*+/=?^`{{|}}~{_BEYOND_ASCII}-]+|{_QUOTED_LOCAL}", re.ASCII)
_LABEL = rf"[\w{_BEYOND_ASCII}-]+"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*|\[[!-Z^-~]+\]", re.ASCII)
_QUOTED_PAIR = re.compile(r'[\\"]')
_DOT_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*"
_MESSAGE_ID = re.compile(rf"{_DOT_ATOM}@(?:{_DOT_ATOM}|\[[!-Z^-~]+\])", re.ASCII)
_ALPHANUMERIC = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_Q_SAFE = frozenset(_ALPHANUMERIC + b"!*+-/")  # RFC 2047 section 5 (3): safe in a phrase, so anywhere
_Q_UNESCAPED = bytes([*_Q_SAFE, 0x20])
_ATTRIBUTE_SAFE = frozenset(_ALPHANUMERIC + b".-_~")


class ComposeError(ValueError):
    """A value that no mail may carry. `field` says where it stood; the value itself is never shown."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


def check_line(field: str, value: str) -> str:
    """`value`, when it is one line of text.

    Raises `ComposeError` for C0 and C1 controls (CR, LF, NUL, TAB, U+0085 among them), U+2028, U+2029 and
    lone surrogates.
    """
    if _UNSAFE.search(value):
        raise ComposeError(field, "holds a control character or a line end")
    return value


def one_line(text: str) -> str:
    """`text` of a stranger made fit for a header: whatever `check_line` refuses is a space, and runs of
    white space are one."""
    return " ".join(_UNSAFE.sub(" ", text).split())


def text_field(name: str, value: str) -> str:
    """The unstructured field `name` (RFC 5322 section 2.2.1) with its CRLF; `value` in any script."""
    if not _FIELD_NAME.fullmatch(name):
        raise ComposeError("headers", "holds a name that is no field name")
    check_line(name, value)
    return _fold(name, _text_chunks(value, _room(name)))


def address_field(name: str, addresses: Iterable[Address]) -> str:
    """The address field `name` (RFC 5322 section 3.4) with its CRLF; "" without any address."""
    mailboxes = [_mailbox(name, address) for address in addresses]
    return _fold(name, _separated(mailboxes, ",")) if mailboxes else ""


def id_field(name: str, ids: Iterable[str]) -> str:
    """The field `name` of message ids (RFC 5322 section 3.6.4), each byte for byte; "" without any.

    An id that no line can hold as it is (not ASCII, or over 960 octets) is left out: encoded, it would name
    no message. Raises `ComposeError` for one with a line end or a control character.
    """
    chunks = [f" <{check_line(name, id_)}>" for id_ in ids if id_]
    writable = [chunk for chunk in chunks if chunk.isascii() and len(chunk) <= _LONGEST_CHUNK]
    return _fold(name, writable) if writable else ""


def own_id_field(message_id: str) -> str:
    """The `Message-ID` field of our own mail. Raises `ComposeError` unless the id is plain: left@right."""
    field = id_field("Message-ID", [message_id])
    if not field or not _MESSAGE_ID.fullmatch(message_id):
        raise ComposeError("Message-ID", "is no message id")
    return field


def mime_field(name: str, value: str, parameters: Iterable[Sequence[str]] = ()) -> str:
    """A MIME field (`Content-Type` …) with what `parameter` and `word_parameter` made, and its CRLF."""
    return _fold(name, _separated([[f" {value}"], *parameters], ";"))


def parameter(name: str, value: str) -> list[str]:
    """A MIME parameter in any script (RFC 2231, in numbered sections when it is long).

    Only plain values become a quoted string: readers disagree about `;`, `"` and `\\` in one.
    """
    check_line(name, value)
    if len(value) <= _LONGEST_VALUE and _SIMPLE_VALUE.fullmatch(value):
        return [f' {name}="{value}"']
    sections = [_attribute(section) for section in _split(value, _LONGEST_VALUE, _attribute_cost)]
    if len(sections) == 1:
        return [f" {name}*=utf-8''{sections[0]}"]
    sections[0] = f"utf-8''{sections[0]}"
    numbered = [f" {name}*{number}*={section}" for number, section in enumerate(sections)]
    return [*(f"{section};" for section in numbered[:-1]), numbered[-1]]


def word_parameter(name: str, value: str) -> list[str]:
    """The same as RFC 2047 words in a quoted string: no standard, but all that some Outlooks understand."""
    check_line(name, value)
    if len(value) <= _LONGEST_VALUE and _SIMPLE_VALUE.fullmatch(value):
        return [f' {name}="{value}"']
    words = " ".join(_words(value, _LINE - len(name) - len('=";') - 1))
    return [f" {chunk}" for chunk in f'{name}="{words}"'.split(" ")]


def wire_address(field: str, address: str) -> str:
    """An addr-spec as SMTP and header fields write it: the domain in IDNA beside an ASCII local part.

    With a local part that is not ASCII all of it stays as it is (RFC 6532, needs SMTPUTF8). Raises
    `ComposeError` naming `field` for what is no address (RFC 5322 section 3.4.1) or over 320 octets.
    """
    local, _, domain = check_line(field, address).rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain) or "=?" in local:
        raise ComposeError(field, "holds what is no address")
    if len(address.encode()) > _LONGEST_ADDRESS:
        raise ComposeError(field, "holds an address that is too long")
    if not local.isascii() or domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except UnicodeError as exc:
        raise ComposeError(field, "holds an address whose domain is no domain") from exc


def _fold(name: str, chunks: Iterable[str]) -> str:
    """The first chunk stays beside the name: an empty first line reads as an empty field to some."""
    lines: list[str] = []
    current = f"{name}:"
    for count, chunk in enumerate(chunks):
        if count and len(current) + len(chunk) > _LINE:
            lines.append(current)
            current = chunk
        else:
            current += chunk
    return "\r\n".join([*lines, current]) + "\r\n"


def _room(name: str) -> int:
    """Characters for an encoded word beside the field name."""
    return max(_LINE - len(name) - len(": "), _LINE // 2)


def _separated(items: Sequence[Sequence[str]], separator: str) -> Iterator[str]:
    for number, chunks in enumerate(items, start=1):
        yield from chunks[:-1]
        yield chunks[-1] + (separator if number < len(items) else "")


def _mailbox(field: str, address: Address) -> list[str]:
    addr_spec = wire_address(field, address.address)
    name = re.sub(" +", " ", check_line(field, address.name)).strip()
    if not name:
        return [f" {addr_spec}"]
    return [*_phrase(name, _room(field)), f" <{addr_spec}>"]


def _phrase(name: str, room: int) -> list[str]:
    """A display name (RFC 5322 section 3.2.5): atoms, or a quoted string, or encoded where it must be."""
    words = name.split(" ")
    needy = [place for place, word in enumerate(words) if not _is_atom(word)]
    if needy and len(name) <= _LONGEST_NAME and "=?" not in name and _PRINTABLE.fullmatch(name):
        return [' "{}"'.format(_QUOTED_PAIR.sub(r"\\\g<0>", name))]
    if needy:
        first, last = needy[0], needy[-1] + 1
        words[first:last] = _words(" ".join(words[first:last]), room)
    return [f" {word}" for word in words]


def _is_atom(word: str) -> bool:
    return len(word) < _LONGEST_CHUNK and "=?" not in word and _ATOM.fullmatch(word) is not None


def _text_chunks(value: str, room: int) -> list[str]:
    if not value:
        return []
    if _is_plain(value):
        return _BREAK.split(f" {value}")
    head = _PLAIN_HEAD.match(value)
    if head is None or not _is_plain(head[0].rstrip(" ")):
        return [f" {word}" for word in _words(value, room)]
    words = _words(value[head.end() :], max(room - head.end(), _LINE // 2))
    return [*_BREAK.split(f" {head[0].rstrip(' ')}"), *(f" {word}" for word in words)]


def _is_plain(value: str) -> bool:
    if "=?" in value or not _PRINTABLE.fullmatch(value):
        return False
    return max(map(len, _BREAK.split(value))) < _LONGEST_CHUNK


def _words(text: str, room: int) -> list[str]:
    """`text` as RFC 2047 words of at most `room` characters, each whole by itself, Q or B as is shorter.

    RFC 2047 section 2 allows 75; what is left beside any field name is never more.
    """
    raw = text.encode()
    escaped = len(raw.translate(None, _Q_UNESCAPED))
    space = room - len("=?utf-8?q??=")
    if 6 * escaped <= len(raw):
        return [f"=?utf-8?q?{_q(piece)}?=" for piece in _split(text, space, _q_cost)]
    pieces = _split(text, space // 4 * 3, _octets)
    return [f"=?utf-8?b?{b64encode(piece.encode()).decode()}?=" for piece in pieces]


def _split(text: str, room: int, cost: Callable[[str], int]) -> Iterator[str]:
    """Pieces of `text` that cost at most `room`, cut after a space where there is one.

    Python 3.11 reads a space between two encoded words of a name: beside another it does the least harm.
    """
    start = used = 0
    for index, char in enumerate(text):
        if used + cost(char) > room:
            cut = text.rfind(" ", start + 1, index) + 1 or index
            yield text[start:cut]
            used = sum(map(cost, text[cut:index]))
            start = cut
        used += cost(char)
    yield text[start:]


def _octets(char: str) -> int:
    return len(char.encode())


def _q(text: str) -> str:
    return _escaped(text, _Q_SAFE, "=").replace("=20", "_")


def _q_cost(char: str) -> int:
    return len(_q(char))


def _attribute(text: str) -> str:
    return _escaped(text, _ATTRIBUTE_SAFE, "%")


def _attribute_cost(char: str) -> int:
    return len(_attribute(char))


def _escaped(text: str, safe: frozenset[int], mark: str) -> str:
    return "".join(chr(byte) if byte in safe else f"{mark}{byte:02X}" for byte in text.encode())
