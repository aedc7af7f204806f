"""Where the writer's own words end: signatures, what phones add, what mailing lists add."""

import re
from dataclasses import dataclass

from postroom.mail.quote import signature_words as words
from postroom.mail.quote.lines import Lines

_TAIL = 24
_LIST_FOOTER = 14
_SHORT = 64
_NAME_WORDS = 4
_SIGNATURE_LINES = 10
_LONGEST_MOBILE = 120
_LONGEST_CODE = 200
_LONGEST_AFTERTHOUGHT = 200
_FEWEST_WORDS = 3

_RULE = re.compile(r"^[-_=*~ ]+$")
_LONG_RULE = re.compile(r"^[-_=*~]{5,}$")
_CONTACT = re.compile(
    r"[\w.+-]{1,64}@[\w-]{1,63}\.|https?://|www\.|\+?\(?\d{2,5}\)?(?:[ ./-]{1,3}\(?\d{2,6}\)?){1,5}"
)
_LINK = re.compile(r" ?[<(\[]?https?://\S{1,300}")
_SENTENCE = re.compile(r"\w{3,}[.?!]\s|\?$")
_ABBREVIATION = re.compile(
    r"\b(?:tele?f?(?:on)?|phone|fax|mob(?:il)?|str|ave|blvd|corp|inc|ltd|gmbh|bros|dipl|ing|prof|reg|dept|abt|ext)\."
)


@dataclass(frozen=True, slots=True)
class Tail:
    """How the lines of the new text end.

    Own words end before `words_end`: below stands only what is certainly none. `signature_start` is where
    the signature shown to readers begins (`end` when there is none); it may lie above `words_end`, because
    a name under a mail is part of it.
    """

    words_end: int
    signature_start: int
    end: int


def tail_of(lines: Lines, start: int, end: int) -> Tail:
    """How lines [start, end), the last that the writer wrote, end."""
    below = _list_footers(lines, start, end)
    mobile = _mobile(lines, start, below)
    if signed := _signed_above_words(lines, start, mobile):
        return Tail(end, *signed)
    delimiter = _delimited(lines, start, mobile)
    if (words_start := _words_below(lines, delimiter, mobile)) is not None:
        return Tail(end, delimiter, words_start)
    certain = min(mobile, delimiter)
    if certain < end:
        return Tail(certain, min(certain, _named(lines, start, mobile, below)), end)
    likely = _likely(lines, start, end)
    return Tail(end, likely if lines.says_something(start, likely) else end, end)


def _last_filled(lines: Lines, start: int, end: int, most: int) -> list[int]:
    """The last `most` indexes of lines in [start, end) that are not blank, last first."""
    found: list[int] = []
    for index in range(end - 1, start - 1, -1):
        if not lines.is_blank(index):
            found.append(index)
            if len(found) == most:
                break
    return found


def _list_footers(lines: Lines, start: int, end: int) -> int:
    """Where what mailing lists and notifiers add begins: a rule and then talk of the list, maybe repeated."""
    for _ in range(3):
        below = _last_filled(lines, start, end, _LIST_FOOTER)
        rule = next((index for index in below if _RULE.match(lines.tidy(index))), None)
        if rule is None or not _is_list_talk(" ".join(map(lines.tidy, lines.filled(rule, end)))):
            return end
        end = rule
    return end


def _is_list_talk(text: str) -> bool:
    """Whether `text` speaks of a list and says where it is."""
    linked = "@" in text or "://" in text or "www." in text
    return linked and bool(words.LIST_TALK.search(text))


def _delimited(lines: Lines, start: int, end: int) -> int:
    """The line `-- ` (RFC 3676, section 4.3) or what HTML marks as a signature; `end` without such.

    Only short lines may follow, because people type `--` as a rule between paragraphs and write below the
    signature of HTML; a dash that kept its space is no accident.
    """
    found = end
    short = True
    for index in _last_filled(lines, start, end, _TAIL):
        text = lines.tidy(index)
        strict = text == "--" and lines.texts[index].endswith("-- ")
        if (strict or (short and (text == "--" or index in lines.signs))) and not _is_code(
            lines, start, index
        ):
            found = index
        short = short and len(text) <= _SHORT and not _is_sentence(text)
    return found


def _signed_above_words(lines: Lines, start: int, end: int) -> tuple[int, int] | None:
    """The lines of a signature that HTML marks, when words stand below it: the writer's, who typed there."""
    below = end
    for line in sorted((line for line in lines.signs if start <= line < end), reverse=True):
        signed_end = lines.ends.get(line, end)
        if lines.says_something(signed_end, below):
            return line, signed_end
        below = line
    return None


def _words_below(lines: Lines, delimiter: int, end: int) -> int | None:
    """Where words begin that the writer typed below a signature: its last paragraph, when it asks or goes on.

    What signatures hold themselves, such as a way to reach somebody, a slogan or a disclaimer, is none.
    """
    below = list(lines.filled(delimiter + 1, end))
    first = next((index for index in reversed(below) if lines.is_blank(index - 1)), None)
    if first is None or first == below[0]:
        return None
    text = lines.joined(first, end)
    if len(text) > _LONGEST_AFTERTHOUGHT or len(text.split()) < _FEWEST_WORDS or _CONTACT.search(text):
        return None
    asks = text.endswith("?") or words.ASKS.match(lines.tidy(first))
    return first if text[0].islower() or (asks and not words.SPARES_PAPER.search(text.lower())) else None


def _is_code(lines: Lines, start: int, index: int) -> bool:
    """Whether a line stands between ``` and ```."""
    above = lines.texts[max(start, index - _LONGEST_CODE) : index]
    fences = sum(text.lstrip().startswith("```") for text in above)
    return fences % 2 == 1


def _mobile(lines: Lines, start: int, end: int) -> int:
    """Where `Sent from my iPhone` and the like begin at the end of the lines."""
    for index in _last_filled(lines, start, end, 3):
        text = lines.tidy(index)
        if not is_mobile_signature(text):
            if not _RULE.match(text):
                break
            continue
        end = index
    return end


def is_mobile_signature(text: str) -> bool:
    """Whether a tidied line is what a phone or a mail program adds by itself."""
    return len(text) <= _LONGEST_MOBILE and bool(words.MOBILE.match(_LINK.sub("", text)))


def _likely(lines: Lines, start: int, end: int) -> int:
    """Where a closing (`Best regards`) or a block of name and contacts begins; `end` without such."""
    short: list[int] = []
    for index in _last_filled(lines, start, end, _TAIL):
        text = lines.tidy(index)
        if _LONG_RULE.match(text):
            return index if _has_contact(lines, index, end) else end
        if len(text) > _SHORT or _is_sentence(text):
            break
        short.append(index)
        if 1 < len(short) <= _SIGNATURE_LINES and words.CLOSING.match(text):
            return index
    return _contact_block(lines, short, end)


def _contact_block(lines: Lines, short: list[int], end: int) -> int:
    """The last paragraph of short lines, when it names a way to reach the writer."""
    block: list[int] = []
    for index in short:
        if block and lines.is_blank(block[-1] - 1):
            break
        block.append(index)
    if len(block) < 2 or not lines.is_blank(block[-1] - 1):
        return end
    return block[-1] if _has_contact(lines, block[-1], end) else end


def _has_contact(lines: Lines, start: int, end: int) -> bool:
    return any(_CONTACT.search(lines.tidy(index)) for index in lines.filled(start, end))


def _named(lines: Lines, start: int, mobile: int, end: int) -> int:
    """The line above `via mobile` when it is a name: short, in the same paragraph, and all there is of it."""
    above = mobile - 1
    if mobile == end or above <= start or lines.is_blank(above) or not lines.is_blank(above - 1):
        return end
    is_name = len(lines.tidy(above).split()) <= _NAME_WORDS
    return above if is_name and not _is_sentence(lines.tidy(above) + " ") else end


def _is_sentence(text: str) -> bool:
    """Whether a sentence ends in a line; the full stop of `Tel.` and the like ends none."""
    return bool(_SENTENCE.search(_ABBREVIATION.sub("", text)))
