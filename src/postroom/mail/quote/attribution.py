"""`On …, Name <address> wrote:` and its cousins in every language, wrapped or not."""

import re
from dataclasses import dataclass

from postroom.mail.quote import words
from postroom.mail.quote.lines import QUOTED, Lines

DATE = re.compile(r"(?<![0-9a-z])\d{4}(?![0-9a-z])|(?<!\d)\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4}(?!\d)")
TIME = re.compile(r"(?<!\d)\d{1,2}[:.h]\d{2}(?!\d)|\d{1,2} ?[ap]\.?m\b|\d{1,2}[时時시]")
ADDRESS = re.compile(r"\w@\w")

_WRAPPED_LINES = 4
_LONGEST = 500
_SAID_SOON = 60
_FEW_WORDS = 8
_NAME_WORDS = 6
_NAME_WIDTH = 60
_BESIDE = 60
_FEW_BESIDE = 5

_SENDER_SAID = re.compile(
    rf"^(?:(?:[^\s@<>()]+ ){{0,4}}[<(\[](?:mailto:)?\S+@\S+[>)\]]|\S+@\S+) (?:{words.SAID.pattern}) ?[:：]$"
)
_ADDRESS_IN_MARKS = re.compile(r"[<(\[„\"“«]\s?(?:mailto:)?[\w.+=-]{1,64}@\w")
_DATE_FIRST = re.compile(r"^\W{0,6}(?:\S{1,14} )?\d")
_DATE_SOON = re.compile(r"^\W{0,6}(?:\S{1,14} ){0,2}\d")
_MOMENT = re.compile(
    rf"(?:{DATE.pattern}|{TIME.pattern})(?::\d{{2}})?(?: ?[ap]\.?m\.?)?"
    r"(?: ?(?:gmt|utc)?[+-]\d{1,2}:?\d{2}| ?\([^()@]{1,12}\))?"
)
_ENDS_IN_ADDRESS = re.compile(r"\S*+\W*$")
_STATUS = re.compile(r"(?<!\d)[245]\d\d[ -][245]\.\d{1,3}\.\d{1,3}(?!\d)")
_WORD = re.compile(r"[^\W_]+")
_NO_NAME = re.compile(r"[\d:：]|^,?\s+-\s")
_CUT_OFF = re.compile(r"^[<(\[]|^\W{0,3}\d{4}[, ]|^\d{1,2}[:.]\d{2}(?:[:.]\d{2})?[, ]")
_ENDS = re.compile(r"[:：]\W{0,6}$|-{2,}$")
_ENDS_IN_VERB = re.compile(rf"(?:{words.SAID.pattern})$")
_QUOTED_AT_ONCE = re.compile(r"[:：] ?>.*$")
_ENDS_ABOVE_QUOTE = re.compile(r"@[\w.-]{1,100}>?[>)\]]$|\d[)\]]$")


@dataclass(frozen=True, slots=True)
class Opening:
    """Lines [start, end) that introduce another's mail."""

    start: int
    end: int


def attribution(lines: Lines, index: int, floor: int) -> Opening | None:
    """`On …, Name <address> wrote:`, wrapped over up to four lines of which `index` is the last.

    The fewest lines that make an attribution are it, unless one above begins a more complete one.
    """
    followed = lines.is_quote_next(index + 1)
    last = _QUOTED_AT_ONCE.sub(":", lines.tidy(index))
    if not _ends(last, followed) or _goes_on(lines, index):
        return None
    if not (followed or "@" in last) and _is_own_sentence(last[-_BESIDE:]):
        return None
    if _stands_alone(lines, index) and _SENDER_SAID.match(last):
        return Opening(index, index + 1)
    text, fewest, named = "", None, False
    for start in range(index, max(floor, index - _WRAPPED_LINES + 1) - 1, -1):
        if lines.is_blank(start) or lines.marks[start] == QUOTED:
            break
        line = last if start == index else lines.tidy(start)
        text = f"{line} {text}".strip()
        if len(text) > _LONGEST:
            break
        if not _is_attribution(text, followed) or (_ENDS_IN_VERB.search(text) and not _is_full(text)):
            continue
        complete, tells_who = _is_complete(text), _is_named(text)
        better = (tells_who and not named) or (complete and _is_beginning(line))
        if fewest is None or better or _is_rest(lines.tidy(fewest)):
            fewest, named = start, tells_who
            if named and complete:
                return Opening(_author_above(lines, start, floor, text), index + 1)
    return None if fewest is None else Opening(fewest, index + 1)


def _is_named(text: str) -> bool:
    """Whether `text` tells of a person: that one wrote, or an address."""
    return "@" in text or bool(words.SAID.search(text))


def _ends(text: str, followed: bool) -> bool:
    """Whether an attribution may end so: in colon or verb, or above marked lines in an address or date."""
    if followed and _ENDS_ABOVE_QUOTE.search(text):
        return True
    return bool(_ENDS.search(text) or _ENDS_IN_VERB.search(text))


def _goes_on(lines: Lines, index: int) -> bool:
    """Whether the colon or the dashes were wrapped off: the line below holds nothing else."""
    below = lines.tidy(index + 1) if index + 1 < len(lines) else ""
    return bool(below) and not below.strip(":：-")


def _stands_alone(lines: Lines, index: int) -> bool:
    """Whether blank lines stand above and below."""
    return index > 0 and lines.is_blank(index - 1) and index + 1 < len(lines) and lines.is_blank(index + 1)


def _is_rest(line: str) -> bool:
    """Whether a line can only be the rest of one above: it is an address, or the verb alone."""
    return bool(_CUT_OFF.match(line) or words.SAID.fullmatch(line.rstrip(":： ")))


def _is_full(text: str) -> bool:
    """Whether all is there that an attribution can tell: what makes up for a colon that is missing."""
    dated = DATE.search(text) and TIME.search(text)
    return bool(dated and _ADDRESS_IN_MARKS.search(text) and _begins(text))


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
    dated, timed = DATE.search(text), TIME.search(text)
    addressed = "@" in text and ADDRESS.search(text)
    if not followed and not (_is_dated(text) and (timed or addressed)):
        return False
    said = words.SAID.search(text)
    if said is None:
        if followed:
            return bool((dated or timed) and addressed) or bool(dated and timed and _begins(text))
        return _DATE_FIRST.match(text) is not None and _is_of_name(text)
    if not followed and _is_own_sentence(text[max(0, said.start() - _BESIDE) :]):
        return False
    if addressed:
        return True
    if words.OWN_SENTENCE.match(text):
        return False
    if not dated and not timed:
        return len(text.split()) <= _FEW_WORDS
    return followed or _begins(text) or said.start() < _SAID_SOON


def _is_of_name(text: str) -> bool:
    """Whether a time and an address tell of a mail without a verb: only a name stands between them.

    A log has its words there, a chat its dash or bracket.
    """
    address = _ADDRESS_IN_MARKS.search(text)
    if address is None or not _ENDS_IN_ADDRESS.match(text, address.end()):
        return False
    if text.startswith("[") or _STATUS.search(text):
        return False
    between = _MOMENT.sub("|", text[: address.start()][-_NAME_WIDTH:]).rpartition("|")[2]
    return len(between.split()) <= _NAME_WORDS and _NO_NAME.search(between) is None


def _is_own_sentence(text: str) -> bool:
    """Whether a person tells who wrote, by a pronoun beside the verb; with an address it may be a name."""
    said = words.SAID.search(text)
    if said is None or _ADDRESS_IN_MARKS.search(text):
        return False
    before = _WORD.findall(text[: said.start()])[-_FEW_BESIDE:]
    after = _WORD.findall(text[said.end() : said.end() + _BESIDE])[:1]
    return not words.of_us(said[0]).isdisjoint(before + after)


def _is_dated(text: str) -> bool:
    """Whether there is a date, or a time beside an address, where a year was thought needless."""
    if DATE.search(text):
        return True
    return bool(TIME.search(text) and _ADDRESS_IN_MARKS.search(text) and words.BEGINNING.match(text))


def _is_complete(text: str) -> bool:
    """Whether nothing seems to be missing at the front: there is a date, not cut off before its year."""
    return bool(DATE.search(text)) and not _CUT_OFF.match(text)


def _is_beginning(line: str) -> bool:
    """Whether a line begins an attribution that goes on below, and ends no sentence."""
    return _begins(line) and not line.endswith(("!", "?", ":"))


def _begins(text: str) -> bool:
    return bool(words.BEGINNING.match(text) or _DATE_SOON.match(text) or _ADDRESS_IN_MARKS.search(text))
