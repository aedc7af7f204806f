"""Who wrote a message, as far as the account's own server checked it (RFC 8601, RFC 7489; D5).

Anyone can write an `Authentication-Results` field. Only what the server that received the mail wrote
is believed, and whose word counts is handed in: built in by provider here, or set, never learnt.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from postroom.mail.message import Address, Mail

WITHOUT_ID = ""
"""Stands among the trusted ids for a server whose fields name no authserv-id (Microsoft's)."""

Level = Literal["verified", "failed", "claimed"]


@dataclass(frozen=True, slots=True)
class Result:
    """One `method=result` of a field with its properties ("header.from", "example.com"), lower case."""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """The first value of the property `name`, or an empty string."""
        return next((value for key, value in self.properties if key == name), "")


@dataclass(frozen=True, slots=True)
class FieldResults:
    """One field as read: whose it says it is (lower case; `WITHOUT_ID` when unnamed) and its results.

    `well_formed` is False when a comment or a quoted string had no end: then nothing good in it counts.
    """

    authserv_id: str
    results: tuple[Result, ...]
    well_formed: bool = True


@dataclass(frozen=True, slots=True)
class Trust:
    """How far the sender is known. `results` and `authserv_id` are the believed server's; else empty."""

    level: Level
    results: tuple[Result, ...] = ()
    authserv_id: str = ""


PROVIDERS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("gmail.com", "googlemail.com", "google.com"), ("mx.google.com",)),
    (
        ("outlook.com", "office365.com", "office.com", "hotmail.com", "live.com", "msn.com"),
        (WITHOUT_ID,),
    ),
    (
        ("yahoo.com", "ymail.com", "aol.com", "verizon.net", "att.net", "rocketmail.com"),
        ("*.yahoo.com",),
    ),
    (("me.com", "icloud.com", "mac.com"), ("*.icloud.com",)),
    (("fastmail.com", "messagingengine.com"), ("*.messagingengine.com",)),
    (("gmx.net", "gmx.com", "gmx.de"), ("gmx.net",)),
    (("web.de",), ("web.de",)),
    (("mail.com",), ("mail.com",)),
    (("ionos.de", "ionos.com", "1und1.de", "1and1.com", "kundenserver.de"), ("kundenserver.de",)),
    (("protonmail.ch", "proton.me", "protonmail.com"), ("mail.protonmail.ch",)),
    (("zoho.com", "zoho.eu", "zoho.in"), ("mx.zohomail.com", "mx.zoho.com", "mx.zoho.eu")),
    (("mail.ru",), ("mxs.mail.ru",)),
    (("yandex.ru", "yandex.com", "yandex.net"), ("*.mail.yandex.net", "*.yandex.net")),
    (("posteo.de",), ("posteo.de",)),
    (("migadu.com",), ("*.migadu.com",)),
    (("infomaniak.com", "infomaniak.ch"), ("mx.infomaniak.com",)),
    (("mail.de",), ("*.mail.de",)),
    (("riseup.net",), ("*.riseup.net",)),
    (("disroot.org",), ("disroot.org",)),
)
"""Suffixes of the incoming server's host name, and whose fields its mailboxes carry on top."""


def authserv_ids_for(incoming_host: str) -> tuple[str, ...]:
    """The ids to believe for mailboxes on `incoming_host`; empty when the provider is not known.

    An id that begins with `*.` stands for every host below that domain.
    """
    host = incoming_host.strip().rstrip(".").lower()
    for suffixes, ids in PROVIDERS:
        if any(host == suffix or host.endswith("." + suffix) for suffix in suffixes):
            return ids
    return ()


def trust(mail: Mail, authserv_ids: Collection[str]) -> Trust:
    """How far the author of `mail` is known (D5), believing only fields of `authserv_ids`.

    `failed` is a DMARC fail by the account's own server; `verified` its DMARC pass for the domain of
    the one author; everything else, contradictions included, is `claimed`.
    """
    believed = _believed_fields(mail, authserv_ids)
    if not believed:
        return Trust("claimed")
    results = tuple(result for field in believed for result in field.results)
    level = _level(mail.author, results)
    if level == "verified" and not all(field.well_formed for field in believed):
        level = "claimed"
    return Trust(level, results, believed[0].authserv_id)


def _level(author: Address | None, results: Iterable[Result]) -> Level:
    verdicts = [result for result in results if result.method == "dmarc"]
    if any(verdict.result in ("fail", "reject", "quarantine") for verdict in verdicts):
        return "failed"
    if not verdicts or author is None:
        return "claimed"
    domain = _domain(author.address)
    aligned = all(
        verdict.result == "pass" and _domain(verdict.get("header.from")) == domain for verdict in verdicts
    )
    return "verified" if aligned and domain else "claimed"


def _domain(address: str) -> str:
    domain = address.rpartition("@")[2].rstrip(".").lower()
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain


_SENDERS_FIELDS = (
    "received",
    "dkim-signature",
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "sender",
    "reply-to",
    "in-reply-to",
    "references",
)


def _believed_fields(mail: Mail, authserv_ids: Collection[str]) -> list[FieldResults]:
    """The fields of the trusted server at the top of the message.

    Some servers write one field a method, so those that follow one another count together. A foreign
    field ends them, and once one was read so does Received or what a sender writes: what lies below
    came with the message.
    """
    believed: list[FieldResults] = []
    for name, value in mail.headers.fields:
        lowered = name.lower()
        if lowered == "authentication-results":
            field = parse_field(value)
            if not is_trusted(field.authserv_id, authserv_ids):
                break
            believed.append(field)
        elif believed and lowered in _SENDERS_FIELDS:
            break
    return believed


def is_trusted(authserv_id: str, authserv_ids: Collection[str]) -> bool:
    """Whether `authserv_id` is one of `authserv_ids`, or lies below one written as `*.domain`."""
    wanted = authserv_id.lower()
    for pattern in (entry.lower().rstrip(".") for entry in authserv_ids):
        if wanted == pattern:
            return True
        if pattern.startswith("*.") and wanted.endswith(pattern[1:]):
            return True
    return False


def reported(mail: Mail) -> tuple[FieldResults, ...]:
    """Every field about authentication, ARC's copies (RFC 8617) included: data, never believed."""
    names = ("authentication-results", "arc-authentication-results")
    return tuple(parse_field(value) for name, value in mail.headers.fields if name.lower() in names)


def parse_field(value: str) -> FieldResults:
    """Reads one field's value (RFC 8601 section 2.2), and the common misspellings of it, to data."""
    texts, well_formed = _split(value)
    sections = [tokens for tokens in map(_tokens, texts) if tokens]
    if sections and sections[0][0].startswith("i=") and len(sections[0]) == 1:
        sections = sections[1:]  # the instance of an ARC set (RFC 8617 section 4.1.1)
    authserv_id = WITHOUT_ID
    if sections and "=" not in sections[0][0]:
        authserv_id = sections[0].pop(0).strip('"').lower().rstrip(".")
    results = (_result(section) for section in sections)
    return FieldResults(authserv_id, tuple(filter(None, results)), well_formed)


def _result(tokens: list[str]) -> Result | None:
    pairs = [_pair(token) for token in tokens if "=" in token]
    if not pairs:
        return None
    (method, result), properties = pairs[0], pairs[1:]
    return Result(method.partition("/")[0], result.lower(), tuple(properties))


def _pair(token: str) -> tuple[str, str]:
    name, _, value = token.partition("=")
    return name.lower(), value.strip('"')


def _tokens(section: str) -> list[str]:
    """The words of a section; `a = b` is one word."""
    return " ".join(section.split()).replace(" =", "=").replace("= ", "=").split()


def _split(value: str) -> tuple[list[str], bool]:
    """Splits at semicolons outside comments and quotes, drops comments; and whether all had an end.

    Quotes count within comments too: servers put the sender's address there as it came, and a quoted
    local part may hold brackets and semicolons. White space in quotes becomes `_`, to stay one word.
    """
    depth, quoted, escaped, start = 0, False, False, 0
    sections: list[str] = []
    kept: list[str] = []
    for place, char in enumerate(value):
        shown = char
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif quoted:
            shown = "_" if char.isspace() else char
        elif char == "(":
            depth += 1
        elif char == ")" and depth:
            depth -= 1
            shown = " "
        elif char == ";" and not depth:
            sections.append("".join(kept))
            kept, start = [], place + 1
            continue
        if not depth:
            kept.append(shown)
    if quoted or depth:
        return [*sections, *value[start:].split(";")], False
    return [*sections, "".join(kept)], True
