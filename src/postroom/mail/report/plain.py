"""Delivery reports that follow no standard: qmail, Exim, old sendmail, Exchange, providers' own forms.

They agree on one thing: above the returned message they name the addresses and say what went wrong.
"""

import re
from collections.abc import Iterable, Iterator

from postroom.mail import charset
from postroom.mail.message import Mail
from postroom.mail.report.model import ReportedRecipient
from postroom.mail.report.returned import recipients_of, returned_recipients, split_report
from postroom.mail.report.status import is_temporary, status_of_text

_LOOKED_AT = 100_000
_SAID_LENGTH = 8_000
_RECIPIENTS = 1000
_STOPS = r"\s<>\"'()\[\]{},;:|*“”‘’„«»（）：；，。、！？【】《》「」『』"
_EDGE = f"(?<![^{_STOPS}])"  # an address begins a word: keeps every search linear
_ASCII_DOMAIN = r"(?>[A-Za-z0-9._-]{0,254}[A-Za-z0-9])(?![\u00c0-\u024f\u0370-\u052f])"
_ADDR = rf"[^{_STOPS}]{{1,256}}@(?:{_ASCII_DOMAIN}|[^{_STOPS}@]{{1,255}}[^{_STOPS}@.])"
_LISTED = re.compile(
    r"[ \t]{0,20}(?:>{1,3}|[*•·]|-{1,4}|\d+[.)]|generated (?:by|from) )?[ \t]*"
    rf"[\"'<(*_\[]{{0,4}}({_ADDR})[\"'>)*_\]]{{0,4}}(?=$|[\s:;,<(\[：，；。（])"
)
_PROSE_AFTER = re.compile(r"[\"'>)*_\]]{0,4} +[a-z]{2,}")
_ENDS_PROSE = (".", ":", "!", "?", ";", "-", "=", "*", "_")
_NAMES_SENDER = ("sent by", "message from", "sender:")
_X400 = re.compile(rf"(?:dda:SMTP|RFC-?822)=({_ADDR})", re.IGNORECASE)
_BLOCK = re.compile(r"^[ \t]*(?:to|cc|subject|sent)[ \t]*:.*$", re.IGNORECASE | re.MULTILINE)
_EXCHANGE = re.compile(r"your message[ \t]*\r?\n(?:.*\n){1,12}?.*did not reach", re.IGNORECASE)
_SAID = re.compile(rf"^(?:<<<|>>>)?[ \t]*[45]\d\d[ -].{{0,20}}?<({_ADDR})>", re.MULTILINE)
_COMMAND = re.compile(rf"RCPT TO:\s?<?({_ADDR})>?", re.IGNORECASE)
_KEYED = re.compile(rf'"emailAddress"\s*:\s*"({_ADDR})"')  # Amazon's notifications in JSON
_ANY = re.compile(rf"{_EDGE}({_ADDR})")
_NOT_RECIPIENT = re.compile(
    r"mail from|from:|contact|support|help|assistance|postmaster|envelope-from|sender|message-id|"
    r"sent by|please|write to|お問い合わせ|ご連絡|様",
    re.IGNORECASE,
)
_NAMED_FAILURE = re.compile(
    r"deliver|reach|recipient|mailbox|attempts|rejected|failed|unknown|bounce|addressed|did not|"
    r"invalid|no such|quota|full|error|generated from|送信|配信|宛|投递|无法",
    re.IGNORECASE,
)
_DELAYED = re.compile(
    r"has been delayed|is delayed|delayed \d|delayed mail|not yet been delivered|will be retried|"
    r"still being retried|delivery attempts will continue|warning message only|"
    r"postponed|will continue to (?:try|be made)|continue to be made|only a temporary failure|"
    r"could not send (?:mail|message) for past|this is a warning|"
    r"\((?:delay|verzögert)\)|warning--|wurde verzögert|remise retardée|задержан",
    re.IGNORECASE,
)
_GIVEN_UP = re.compile(r"failed permanently|permanent error|given up|giving up|permanent fatal", re.I)


def plain_recipients(mail: Mail) -> tuple[ReportedRecipient, ...]:
    """The recipients that the text of the report `mail` names, with status and action."""
    for text in _texts(mail):
        if found := _recipients_in(mail, text):
            return found
    return ()


def _texts(mail: Mail) -> Iterator[str]:
    """The report's text, then what a broken structure made attachments of."""
    yield mail.text[:_LOOKED_AT]
    for file in mail.attachments:
        if file.content_type.lower().startswith("text/plain"):
            yield charset.decode(file.content[:_LOOKED_AT])[0]


def _recipients_in(mail: Mail, text: str) -> tuple[ReportedRecipient, ...]:
    head, returned = split_report(text)
    head = _without_block(head)
    action = _action(mail.subject, head)
    addresses = _addresses(mail, head, returned)
    segments = _segments(head, addresses)
    return tuple(_recipient(address, action, segments[address], head) for address in addresses)


def _without_block(head: str) -> str:
    """Exchange names To and Subject of the message before it says whom it did not reach."""
    found = _EXCHANGE.search(head)
    if found is None:
        return head
    return head[: found.start()] + _BLOCK.sub("", found[0]) + head[found.end() :]


def _recipient(address: str, action: str, segment: str, head: str) -> ReportedRecipient:
    verdict = head[:_SAID_LENGTH]
    status = status_of_text(segment[:_SAID_LENGTH], action, verdict)
    status = status or status_of_text(verdict, action, verdict)
    if not status or (action == "failed" and status.startswith("2.")):
        status = "4.0.0" if action == "delayed" else "5.0.0"
    said = " ".join(segment.split())[:1000]
    return ReportedRecipient(address, action, status, is_temporary(status, action), said, address)


def _action(subject: str, head: str) -> str:
    told = f"{subject}\n{head}"
    return "delayed" if _DELAYED.search(told) and not _GIVEN_UP.search(told) else "failed"


def _addresses(mail: Mail, head: str, returned: str) -> tuple[str, ...]:
    """The failed addresses, from the surest place that names any."""
    own = {address.address.lower() for address in (*mail.to, *mail.cc)}
    if mail.from_ is not None:
        own.add(mail.from_.address.lower())
    failed = mail.headers.all("x-failed-recipients")
    places = (
        (match[1] for value in failed for match in _ANY.finditer(value)),
        (match[1] for match in _KEYED.finditer(head)),
        (match[1] for match in _X400.finditer(head)),
        _others(_listed(head), own),
        _others((match[1] for match in _SAID.finditer(head)), own),
        _others((match[1] for match in _COMMAND.finditer(head)), own),
        _others(_in_sentences(head, _NAMED_FAILURE), own),
        _others(_in_sentences(head, None), own),
        _listed(head),
        recipients_of(returned),
        _sole(returned_recipients(mail)),
    )
    for place in places:
        if found := _unique(place):
            return found
    return ()


def _sole(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Of several whom a message went to nobody can tell which one it did not reach."""
    return addresses if len(addresses) == 1 else ()


def _unique(addresses: Iterable[str]) -> tuple[str, ...]:
    known: dict[str, str] = {}
    for address in addresses:
        bare = re.sub(r"(?i)^smtp=", "", address)  # an X.400 address of Exchange
        known.setdefault(bare.lower(), bare)
        if len(known) >= _RECIPIENTS:
            break
    return tuple(known.values())


def _others(addresses: Iterable[str], own: set[str]) -> Iterator[str]:
    """Leaves out the addresses of the report itself: whom it is from and to (the first sender)."""
    return (address for address in addresses if address.lower() not in own)


def _listed(head: str) -> Iterator[str]:
    """Addresses that begin a line, as lists of recipients do.

    Not where a sentence was wrapped before one, and not below words that name the sender, blank lines or not.
    """
    above = told = ""
    for line in head.splitlines():
        match = _LISTED.match(line)
        if match and not _goes_on(above, line, match) and not told.lower().endswith(_NAMES_SENDER):
            yield match[1]
        above = line.strip()
        told = above or told


def _goes_on(above: str, line: str, match: re.Match[str]) -> bool:
    """Whether the address that begins `line` is in the middle of a sentence."""
    wrapped = bool(above) and not above.endswith(_ENDS_PROSE)
    return wrapped and _PROSE_AFTER.match(line, match.end(1)) is not None


def _in_sentences(head: str, words: re.Pattern[str] | None) -> Iterator[str]:
    for line in head.splitlines():
        if words is None or words.search(line):
            for match in _ANY.finditer(line):
                if not _NOT_RECIPIENT.search(line, 0, match.start()):
                    yield match[1]


def _segments(head: str, addresses: tuple[str, ...]) -> dict[str, str]:
    """What the report says of each address: its own lines, or all of the text for a single one."""
    if len(addresses) == 1:
        return {addresses[0]: _from_first(head, addresses[0])}
    lines: dict[str, list[str]] = {address: [] for address in addresses}
    lowered = {address.lower(): address for address in addresses}
    current = ""
    for line in head.splitlines():
        named = [lowered[m[1].lower()] for m in _ANY.finditer(line) if m[1].lower() in lowered]
        current = named[0] if named else current
        if current:
            lines[current].append(line)
    return {address: "\n".join(told) for address, told in lines.items()}


def _from_first(head: str, address: str) -> str:
    place = head.lower().find(address.lower())
    return head[place:] if place >= 0 else head
