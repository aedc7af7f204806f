"""Guesses the charset of text that tells none and is no UTF-8 (or tells a false one). No statistics tables.

East Asian charsets are recognised by structure: the text must decode without a fault, and nearly all of
its characters must be everyday ones. Cyrillic is recognised by where its lower-case letters lie.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_SAMPLE = 4_096
_FEWEST_BYTES = 8
_ENOUGH = 0.9
_CYRILLIC_SHARE = 0.35
_HIGH = re.compile(rb"[\x80-\xff]+")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A charset to try, the codec to use then, and how many characters of a text are everyday ones."""

    strict: str
    codec: str
    everyday: Callable[[str], int]


def guess(data: bytes) -> str:
    """The codec that `data` is most likely in; "cp1252" when nothing speaks for another one."""
    sample = _whole_characters(data[:_SAMPLE])
    high = sum(len(run) for run in _HIGH.findall(sample))
    if high < _FEWEST_BYTES:
        return "cp1252"
    return _east_asian(sample) or _cyrillic(sample, high) or "cp1252"


def _whole_characters(sample: bytes) -> bytes:
    """The sample up to its last line or word, so that no character is cut."""
    if len(sample) < _SAMPLE:
        return sample
    return sample[: max(sample.rfind(b"\n"), sample.rfind(b" ")) + 1] or sample


def _east_asian(sample: bytes) -> str:
    for candidate in _CANDIDATES:
        try:
            text = sample.decode(candidate.strict)
        except UnicodeError:
            continue
        foreign = [char for char in text if char > "\x7f"]
        if foreign and candidate.everyday("".join(foreign)) >= _ENOUGH * len(foreign):
            return candidate.codec
    return ""


def _kana(text: str) -> int:
    """Japanese mixes kana into everything: without a fair share of them it is none."""
    kana = sum("\u3040" <= char <= "\u30ff" for char in text)
    known = sum(
        "\u3000" <= char <= "\u30ff" or "\u4e00" <= char <= "\u9fff" or "\uff01" <= char <= "\uff5e"
        for char in text
    )
    return known if kana >= 0.2 * len(text) else 0


def _hangul(text: str) -> int:
    return sum("\uac00" <= char <= "\ud7a3" or "\u3000" <= char <= "\u303f" for char in text)


def _level_one(codec: str, first: int, last: int) -> Callable[[str], int]:
    """Counts the characters of the charset's first level, which holds the everyday ones, and punctuation."""

    def count(text: str) -> int:
        leads = (char.encode(codec)[0] for char in text)
        return sum(first <= lead <= last or lead in (0xA1, 0xA3) for lead in leads)

    return count


_CANDIDATES = (
    _Candidate("euc_jp", "euc_jp", _kana),
    _Candidate("cp932", "cp932", _kana),
    _Candidate("euc_kr", "cp949", _hangul),
    _Candidate("gb18030", "gb18030", _level_one("gb18030", 0xB0, 0xD7)),
    _Candidate("big5hkscs", "big5hkscs", _level_one("big5hkscs", 0xA4, 0xC6)),
)


def _cyrillic(sample: bytes, high: int) -> str:
    """Russian in KOI8-R has its lower-case letters at C0 to DF, in Windows-1251 at E0 to FF."""
    letters = sum(byte > 0x40 for byte in sample)
    if high < _CYRILLIC_SHARE * letters:
        return ""
    low = sum(0xC0 <= byte <= 0xDF for byte in sample)
    upper = sum(byte >= 0xE0 for byte in sample)
    if low + upper < _ENOUGH * high:
        return ""
    return "koi8-r" if low > upper else "cp1251"
