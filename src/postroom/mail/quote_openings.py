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
_LOOK_AHEAD = 8

_DATE = re.compile(r"(?<!\d)\d{4}(?!\d)|\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4}")
_TIME = re.compile(r"(?<!\d)\d{1,2}[:.h]\d{2}(?!\d)|\d{1,2} ?[ap]\.?m\b|\d{1,2}[时時시]")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}")
_ADDRESS_IN_MARKS = re.compile(r"[<(\[„\"“«]{1,2}\s?(?:mailto:)?[\w.+=-]{1,64}@[\w.-]{1,100}")
_STARTS_WITH_DATE = re.compile(r"^\W{0,6}(?:\w{1,14}[.,]{0,2} )?\d")
_STARTS_WITH_NAME = re.compile(r"^\W{0,3}\w")
_SAID_SOON = 60
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
    forward: bool = False


Classifier = Callable[[Lines, int, int], Opening | None]


def opening_at(lines: Lines, index: int, floor: int) -> Opening | None:
    """What line `index` opens, if anything; the opening may start a few lines before, not before `floor`."""
    if index not in lines.opens and not _may_open(lines.texts[index]):
        return None
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


def _may_open(text: str) -> bool:
    """Whether `text` holds one of the characters without which nothing opens: cheap, asked of every line."""
    head, tail = text[:60], text[-40:]
    return not _MAY_OPEN.isdisjoint(head) or not _MAY_OPEN.isdisjoint(tail)


def _with_rule_above(lines: Lines, opening: Opening, floor: int) -> Opening:
    """The opening together with a rule (`____`) directly above it."""
    for above in range(opening.start - 1, max(floor, opening.start - 3) - 1, -1):
        if lines.is_blank(above):
            continue
        if _RULE.match(lines.tidy(above)):
            return Opening(above, opening.end, opening.forward)
        break
    return opening


def _from_html(lines: Lines, index: int, _floor: int) -> Opening | None:
    """A line where HTML says that the original begins, when what follows looks like one."""
    if index not in lines.opens:
        return None
    evidence = False
    for found in lines.filled(index, index + 3 * _LOOK_AHEAD):
        if lines.marks[found] != OWN:
            return Opening(index, found)
        text = lines.tidy(found)
        evidence = evidence or bool(_DATE.search(text) or _ADDRESS.search(text))
    return Opening(index, index + 1) if evidence else None


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
        return Opening(index, index + 1, forward=True)
    found = words.SEPARATOR.match(text)
    if found is None:
        return None
    rest = found["rest"].strip()
    between_dashes = _DASHES_BEFORE.match(text) and (not rest or _DASHES_AFTER.search(text))
    if between_dashes or (not rest.strip(":：") and _header_block(lines, index + 1, index)):
        return Opening(index, index + 1)
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
    """`On …, Name <address> wrote:`, wrapped over up to four lines of which `index` is the last."""
    if not _ENDS_ATTRIBUTION.search(lines.tidy(index)):
        return None
    followed = is_followed_by_quote(lines, index + 1)
    text, best = "", None
    for start in range(index, max(floor, index - _WRAPPED_LINES + 1) - 1, -1):
        if lines.is_blank(start) or lines.marks[start] == QUOTED:
            break
        text = f"{lines.tidy(start)} {text}"
        if len(text) > _LONGEST_ATTRIBUTION:
            break
        if _is_attribution(text, followed):
            best = start
            if _DATE.search(text) and not text.startswith(("<", "(", "[")):
                break
    return None if best is None else Opening(best, index + 1)


def _is_attribution(text: str, followed: bool) -> bool:
    said = words.SAID.search(text)
    dated, timed = _DATE.search(text), _TIME.search(text)
    addressed = _ADDRESS.search(text)
    if followed:
        return bool((said and len(text) < 250) or ((dated or timed) and addressed))
    if not dated or not (timed or addressed):
        return False
    if said is None:
        return bool(_ADDRESS_IN_MARKS.search(text) and _STARTS_WITH_DATE.match(text))
    return bool(_begins_attribution(text, said.start()) or addressed)


def _begins_attribution(text: str, said_at: int) -> bool:
    if words.BEGINNING.match(text) or _STARTS_WITH_DATE.match(text):
        return True
    named = _STARTS_WITH_NAME.match(text) and not words.OWN_SENTENCE.match(text)
    return bool(named and said_at < _SAID_SOON)


_CLASSIFIERS: tuple[Classifier, ...] = (
    _reply_above,
    _separator,
    _groupwise,
    _header_block,
    _attribution,
    _from_html,
)
