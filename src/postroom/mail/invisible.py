"""Characters that leave no mark: they pad previews, split words, and can carry text that nobody sees."""

import re

_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_FLAG = "\U0001f3f4"
ZERO_WIDTH = dict.fromkeys([0xAD, 0x34F, 0x61C, 0x180E, 0x200B, 0x2060, 0xFEFF])
"""For `str.translate`: drops what has no width; the joiners that scripts and emoji need stay."""


def without_tags(text: str) -> tuple[str, bool]:
    """`text` without the tag characters that mirror ASCII unseen, and whether there were any.

    Flags of regions are spelt with them (Unicode TR 51) and stay.
    """
    if text.isascii() or not _TAGS.search(text):
        return text, False
    cleaned = _TAGS.sub(lambda run: run[0] if text[run.start() - 1 : run.start()] == _FLAG else "", text)
    return cleaned, len(cleaned) != len(text)
