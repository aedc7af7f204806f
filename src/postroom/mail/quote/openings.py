"""Where another's mail begins in a body: attributions, header blocks, separators, what HTML says.

Each classifier looks at one line and a few around it, so that a body of any size is judged in time
that grows with its length.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from postroom.mail.quote import words
from postroom.mail.quote.attribution import ADDRESS, DATE, TIME, Opening, attribution
from postroom.mail.quote.lines import OWN, QUOTED, Lines

_HEADER_LINES = 16
_LONGEST_SEPARATOR = 120
_TRACE_LINES = 6

_GROUPWISE = re.compile(r"^>>> .{1,200}>>>$")
_DASHES_BEFORE = re.compile(r"^[-_=*~#>|\s]{2,}")
_DASHES_AFTER = re.compile(r"[-_=~]{2,}$")
_LABEL_AFTER_DASHES = re.compile(r"^[-_=]{2,} ?([^\d:：]{1,24})[:：]")
_DASHED_NAME = re.compile(r"^-{2,} ?\w.*\w[>)\"']? ?-{2,}$")
_STAMP = re.compile(r"^(?:message (?:du|of)|nachricht vom|mensaje del|messaggio del|bericht van) .{6,40}$")
_LABEL = re.compile(r"^[^\d:：]{1,24}[:：]")
_ADDRESS_THEN_COLON = re.compile(r"@[\w.-]{1,100}[>)\]] ?[:：](?: |$)")
_ALL_OF_OUTLOOK = frozenset({words.FROM, words.SENT, words.TO, words.SUBJECT})
_RULE = re.compile(r"^[-_=*~ ]{3,}$")
_MARKS_OF_HELPDESKS = "-#=[*_~|<"
_MAY_OPEN = frozenset(":：-—‐_=*#<>＞─━")


Classifier = Callable[[Lines, int, int], Opening | None]


def opening_at(lines: Lines, index: int, floor: int) -> Opening | None:
    """What line `index` opens, if anything; the opening may start a few lines before, not before `floor`."""
    for classify in _CLASSIFIERS:
        if opening := classify(lines, index, floor):
            return _with_rule_above(lines, opening, floor)
    return None


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

    People write where an original stood that they deleted, and below the mark that webmail puts under their
    text, so some trace of it must be there, and nothing soon below that is surer to begin it.
    """
    if index not in lines.opens:
        return None
    texts: list[str] = []
    for found in lines.filled(index, index + 3 * _TRACE_LINES):
        if lines.marks[found] != OWN:
            return Opening(index, found)
        if found > index and (found in lines.opens or _header_block(lines, found, found)):
            return None
        if len(texts) == _TRACE_LINES or found in lines.signs:
            break
        texts.append(lines.tidy(found))
    return Opening(index, index + 1) if _tell_of_a_mail(texts) else None


def _tell_of_a_mail(texts: Sequence[str]) -> bool:
    """Whether lines tell, in whatever language, who wrote or when: by labels or by an attribution."""
    if sum(_role(text) is not None for text in texts) > 1:
        return True
    dated = any(DATE.search(text) or TIME.search(text) for text in texts)
    if dated and sum(bool(_LABEL.match(text)) for text in texts) > 1:
        return True
    return any(map(_is_trace, texts))


def _is_trace(text: str) -> bool:
    """Whether a line names a time and an address, or one of them before a colon."""
    if _ADDRESS_THEN_COLON.search(text):
        return True
    when = DATE.search(text) or TIME.search(text)
    addressed = ADDRESS.search(text) and not text.endswith((".", "!", "?"))
    return bool(when and (addressed or text.endswith((":", "："))))


def _reply_above(lines: Lines, index: int, _floor: int) -> Opening | None:
    """`##- Please type your reply above this line -##`, by which a helpdesk finds the answer."""
    text = lines.tidy(index)
    if len(text) >= _LONGEST_SEPARATOR or not words.REPLY_ABOVE.search(text):
        return None
    told = text[0] in _MARKS_OF_HELPDESKS or words.REPLY_ABOVE_STARTS.match(text)
    return Opening(index, index + 1) if told else None


def _separator(lines: Lines, index: int, _floor: int) -> Opening | None:
    """`-----Original Message-----`, `---------- Forwarded message ---------`, `Begin forwarded message:`."""
    text = lines.tidy(index)
    if words.FORWARD_STARTS.match(text):
        return Opening(index, index + 1)
    if len(text) < _LONGEST_SEPARATOR and _DASHED_NAME.match(text) and words.SAID.search(text):
        return Opening(index, index + 1)
    found = words.SEPARATOR.match(text)
    if found is None:
        return None
    rest = found["rest"].strip()
    below = lines.next_filled(index + 1)
    headers = None if below is None else _header_block(lines, below, below, marked=True)
    dashed = _DASHES_BEFORE.match(text) and (not rest or _DASHES_AFTER.search(text))
    heads = dashed and (headers or _is_heading(found["form"], rest.strip("-_=~*#>| ")))
    goes_on = _DASHES_BEFORE.match(text) and _goes_on_with_headers(rest)
    if heads or goes_on or (headers and not rest.strip(":：")):
        return Opening(index, headers.end if headers else index + 1)
    return None


def _is_heading(form: str, rest: str) -> bool:
    """Whether words between dashes head a mail, and are no price, no invoice and no note of the writer's."""
    if rest:
        return "@" in rest or bool(DATE.search(rest))
    return form in words.HEADINGS


def _goes_on_with_headers(rest: str) -> bool:
    """`--------From: Name …`: where all line ends were lost."""
    label = _LABEL_AFTER_DASHES.match(rest)
    return label is not None and label[1].strip() in words.LABELS


def _groupwise(lines: Lines, index: int, _floor: int) -> Opening | None:
    """`>>> Name <address> 04/03/23 12:34 PM >>>`."""
    text = lines.tidy(index)
    if _GROUPWISE.match(text) and DATE.search(text):
        return Opening(index, index + 1)
    return None


def _header_block(lines: Lines, index: int, floor: int, marked: bool = False) -> Opening | None:
    """`From: … Sent: … To: … Subject: …` in any order and language, folded lines allowed.

    `marked`: something above says that a mail begins, so that less is enough. Without that, and in a mail
    that is no reply or forward, it takes what forms, orders and journeys lack: a dated subject or sending, or
    all that Outlook writes.
    """
    if index >= len(lines) or not _role(lines.tidy(index)):
        return None
    values: dict[str, str] = {}
    role = ""
    end = index
    for found in lines.filled(index, index + _HEADER_LINES):
        text = lines.tidy(found)
        told = _role(text)
        apart = found > index and lines.is_blank(found - 1)
        if lines.marks[found] == QUOTED or (told is None and (apart or found - end > 4)):
            break
        if told is not None:
            role, end = told, found + 1
        values[role] = f"{values.get(role, '')} {text}"
    start = _title_above(lines, index, floor)
    marked = marked or start < index or index in lines.opens or _has_rule_above(lines, index, floor)
    return Opening(start, end) if _is_mail_header(values, marked, lines.answers) else None


def _has_rule_above(lines: Lines, index: int, floor: int) -> bool:
    return _with_rule_above(lines, Opening(index, index), floor).start < index


def _title_above(lines: Lines, index: int, floor: int) -> int:
    """The line above if it is words between dashes, in whatever language, or a date in a sentence
    (`Message du 12/12/16 13:20`); else `index`."""
    above = index - 1
    if above < floor or lines.marks[above] == QUOTED:
        return index
    text = lines.tidy(above)
    stamped = _STAMP.match(text) and DATE.search(text) and TIME.search(text)
    return above if stamped or _DASHED_NAME.match(text) else index


def _role(text: str) -> str | None:
    """What a header line such as `Gesendet: …` tells, if it is one."""
    label, colon, _ = text[:48].replace("：", ":").partition(":")
    return words.LABELS.get(label.strip(" _-|>")) if colon else None


def _is_mail_header(values: Mapping[str, str], marked: bool, answers: bool) -> bool:
    """Whether header lines, by their role, are a mail's: orders and journeys have from, to and date too."""
    roles = values.keys()
    addressed = "@" in values.get(words.FROM, "") or "@" in values.get(words.TO, "")
    text = " ".join(values.values())
    when = bool(DATE.search(text)) and _is_timed(text)
    by_mail = words.FROM in roles and when and not roles.isdisjoint({words.SENT, words.SUBJECT})
    if not (marked or answers or by_mail or roles >= _ALL_OF_OUTLOOK):
        return False
    sent = words.SENT in roles and when
    if words.FROM in roles and len(roles - {words.OTHER}) >= 3:
        timed = when or _is_timed(values.get(words.SENT, "") + values.get(words.DATE, ""))
        return (marked or timed) and (words.SUBJECT in roles or addressed or sent)
    by_or_to = roles & {words.FROM, words.TO}
    return bool(by_or_to) and (sent or (words.DATE in roles and when and addressed))


def _is_timed(text: str) -> bool:
    """Whether there is a time that is no part of a date."""
    return bool(TIME.search(DATE.sub(" ", text)))


_CLASSIFIERS: tuple[Classifier, ...] = (
    _reply_above,
    _separator,
    _groupwise,
    _header_block,
    attribution,
    _from_html,
)
