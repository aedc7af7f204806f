"""Where another's mail begins in a body: attributions, header blocks, separators, what HTML says.

Each classifier looks at one line and a few around it, so that a body of any size is judged in time
that grows with its length.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from postroom.mail import quote_words as words
from postroom.mail.quote_lines import OWN, QUOTED, Lines

_WRAPPED_LINES = 4
_LONGEST_ATTRIBUTION = 500
_HEADER_LINES = 16
_TRACE_LINES = 6

_DATE = re.compile(r"(?<!\d)\d{4}(?!\d)|(?<!\d)\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4}(?!\d)")
_TIME = re.compile(r"(?<!\d)\d{1,2}[:.h]\d{2}(?!\d)|\d{1,2} ?[ap]\.?m\b|\d{1,2}[时時시]")
_ADDRESS = re.compile(r"\w@\w")
_ADDRESS_IN_MARKS = re.compile(r"[<(\[„\"“«]\s?(?:mailto:)?[\w.+=-]{1,64}@\w")
_DATE_SOON = re.compile(r"^\W{0,6}(?:\S{1,14} ){0,2}\d")
_STARTS_WITH_DATE = re.compile(r"^\W{0,6}(?:\S{1,14} )?\d")
_CUT_OFF = re.compile(r"^[<(\[]|^\W{0,3}\d{4}[, ]|^\d{1,2}[:.]\d{2}(?:[:.]\d{2})?[, ]")
_SAID_SOON = 60
_FEW_WORDS = 8
_ENDS_ATTRIBUTION = re.compile(r"[:：]\W{0,6}$|-{2,}$")
_GROUPWISE = re.compile(r"^>>> .{1,200}>>>$")
_DASHES_BEFORE = re.compile(r"^[-_=*~#>|\s]{2,}")
_DASHES_AFTER = re.compile(r"[-_=~]{2,}$")
_RULE = re.compile(r"^[-_=*~ ]{3,}$")
_MAY_OPEN = frozenset(":：-—‐_=*#<>＞─━")


@dataclass(frozen=True, slots=True)
class Opening:
    """Lines [start, end) that introduce another's mail."""

    start: int
    end: int


Classifier = Callable[[Lines, int, int], Opening | None]


def opening_at(lines: Lines, index: int, floor: int) -> Opening | None:
    """What line `index` opens, if anything; the opening may start a few lines before, not before `floor`."""
    for classify in _CLASSIFIERS:
        if opening := classify(lines, index, floor):
            return _with_rule_above(lines, opening, floor)
    return None


def is_followed_by_quote(lines: Lines, index: int) -> bool:
    """Whether the first line at or after `index` that is not blank is marked as quoted or indented."""
    return any(lines.marks[found] != OWN for found in _first_filled(lines, index))


def _first_filled(lines: Lines, index: int) -> list[int]:
    for found in lines.filled(index, index + 64):
        return [found]
    return []


def may_open(text: str) -> bool:
    """Whether `text` holds one of the characters without which nothing opens: cheap, asked of every line."""
    head, tail = text[:60], text[-40:]
    return not _MAY_OPEN.isdisjoint(head) or not _MAY_OPEN.isdisjoint(tail)


def _with_rule_above(lines: Lines, opening: Opening, floor: int) -> Opening:
    """The opening together with a rule (`____`) directly above it."""
    for above in range(opening.start - 1, max(floor, opening.start - 3) - 1, -1):
        if lines.is_blank(above):
            continue
        if _RULE.match(lines.tidy(above)):
            return Opening(above, opening.end)
        break
    return opening


def _from_html(lines: Lines, index: int, _floor: int) -> Opening | None:
    """A line where HTML says that the original begins, when what follows looks like one.

    People write where an original stood that they deleted, so some trace of it must be there.
    """
    if index not in lines.opens:
        return None
    traced = False
    for seen, found in enumerate(lines.filled(index, index + 3 * _TRACE_LINES)):
        if lines.marks[found] != OWN:
            return Opening(index, found)
        if seen >= _TRACE_LINES or found in lines.signs:
            break
        text = lines.tidy(found)
        traced = traced or bool(_DATE.search(text) or _ADDRESS.search(text))
    return Opening(index, index + 1) if traced else None


def _reply_above(lines: Lines, index: int, _floor: int) -> Opening | None:
    """`##- Please type your reply above this line -##`, by which a helpdesk finds the answer."""
    text = lines.tidy(index)
    if len(text) < 120 and words.REPLY_ABOVE.search(text):
        return Opening(index, index + 1)
    return None


def _separator(lines: Lines, index: int, _floor: int) -> Opening | None:
    """`-----Original Message-----`, `---------- Forwarded message ---------`, `Begin forwarded message:`."""
    text = lines.tidy(index)
    if words.FORWARD_STARTS.match(text):
        return Opening(index, index + 1)
    found = words.SEPARATOR.match(text)
    if found is None:
        return None
    rest = found["rest"].strip()
    between_dashes = _DASHES_BEFORE.match(text) and (not rest or _DASHES_AFTER.search(text))
    headers = next((_header_block(lines, line, line) for line in _first_filled(lines, index + 1)), None)
    if between_dashes or (headers and not rest.strip(":：")):
        return Opening(index, headers.end if headers else index + 1)
    return None


def _groupwise(lines: Lines, index: int, _floor: int) -> Opening | None:
    """`>>> Name <address> 04/03/23 12:34 PM >>>`."""
    text = lines.tidy(index)
    if _GROUPWISE.match(text) and _DATE.search(text):
        return Opening(index, index + 1)
    return None


def _header_block(lines: Lines, index: int, _floor: int) -> Opening | None:
    """`From: … Sent: … To: … Subject: …` in any order and language, folded lines allowed."""
    if index >= len(lines) or not _role(lines.tidy(index)):
        return None
    roles: set[str] = set()
    values = []
    end = index
    for found in lines.filled(index, index + _HEADER_LINES):
        text = lines.tidy(found)
        role = _role(text)
        apart = found > index and lines.is_blank(found - 1)
        if lines.marks[found] == QUOTED or (role is None and (apart or found - end > 4)):
            break
        if role is not None:
            roles.add(role)
            end = found + 1
        values.append(text)
    return Opening(index, end) if _is_mail_header(roles, " ".join(values)) else None


def _role(text: str) -> str | None:
    """What a header line such as `Gesendet: …` tells, if it is one."""
    label, colon, _ = text[:48].replace("：", ":").partition(":")
    return words.LABELS.get(label.strip(" _-|>")) if colon else None


def _is_mail_header(roles: set[str], text: str) -> bool:
    if words.FROM not in roles:
        return False
    known = len(roles - {"other"})
    if known >= 3:
        return words.SUBJECT in roles or "@" in text or bool(_TIME.search(text))
    return known == 2 and words.DATE in roles and bool(_DATE.search(text) and _TIME.search(text))


def _attribution(lines: Lines, index: int, floor: int) -> Opening | None:
    """`On …, Name <address> wrote:`, wrapped over up to four lines of which `index` is the last.

    The fewest lines that make an attribution are it, unless one above begins a more complete one.
    """
    if not _ENDS_ATTRIBUTION.search(lines.tidy(index)):
        return None
    followed = is_followed_by_quote(lines, index + 1)
    text, fewest = "", None
    for start in range(index, max(floor, index - _WRAPPED_LINES + 1) - 1, -1):
        if lines.is_blank(start) or lines.marks[start] == QUOTED:
            break
        text = f"{lines.tidy(start)} {text}".strip()
        if len(text) > _LONGEST_ATTRIBUTION:
            break
        if not _is_attribution(text, followed):
            continue
        if _is_complete(text) and (fewest is None or _begins(lines.tidy(start))):
            return Opening(_author_above(lines, start, floor, text), index + 1)
        fewest = start if fewest is None else fewest
    return None if fewest is None else Opening(fewest, index + 1)


def _author_above(lines: Lines, start: int, floor: int, text: str) -> int:
    """The line above an attribution without address that holds just the author's (`Name <address>` …)."""
    above = start - 1
    if "@" in text or above < floor or lines.marks[above] == QUOTED:
        return start
    author = lines.tidy(above)
    named = _ADDRESS_IN_MARKS.search(author) and len(author.split()) <= _FEW_WORDS
    return above if named and not author.endswith((".", "!", "?", ":")) else start


def _is_attribution(text: str, followed: bool) -> bool:
    """Whether `text` says who wrote and when; less is enough where marked lines follow."""
    dated, timed = _DATE.search(text), _TIME.search(text)
    addressed = "@" in text and _ADDRESS.search(text)
    if not followed and (not dated or not (timed or addressed)):
        return False
    said = words.SAID.search(text)
    if said is None:
        if followed:
            return bool((dated or timed) and addressed)
        return bool(_ADDRESS_IN_MARKS.search(text) and _STARTS_WITH_DATE.match(text))
    if addressed:
        return True
    if words.OWN_SENTENCE.match(text):
        return False
    if not dated and not timed:
        return len(text.split()) <= _FEW_WORDS
    return followed or _begins(text) or said.start() < _SAID_SOON


def _is_complete(text: str) -> bool:
    """Whether nothing seems to be missing at the front: there is a date, not cut off before its year."""
    return bool(_DATE.search(text)) and not _CUT_OFF.match(text)


def _begins(text: str) -> bool:
    """Whether a line begins as attributions do, and is no sentence that ended."""
    if text.endswith(("!", "?", ":")):
        return False
    return bool(
        words.BEGINNING.match(text) or _DATE_SOON.match(text) or _ADDRESS_IN_MARKS.search(text)
    )


_CLASSIFIERS: tuple[Classifier, ...] = (
    _reply_above,
    _separator,
    _groupwise,
    _header_block,
    _attribution,
    _from_html,
)
