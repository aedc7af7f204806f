"""Reads the mails of tests/corpus/quote, which show each form of quoting."""

import re
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parents[2] / "corpus" / "quote"

_SECTION = re.compile(r"^\[(\w+)\]$", re.MULTILINE)
_MARK = re.compile(r"^=== (\w+) ===\n", re.MULTILINE)
_LINK_TARGET = re.compile(r"\]\(\S+?\)|https?://[^\s>)]+")


@dataclass(frozen=True, slots=True)
class Language:
    """What mail programs write around a mail in one language."""

    reply: str
    quoted: str
    attributions: tuple[str, ...]
    headers: str
    originals: tuple[str, ...]
    forwards: tuple[str, ...]
    phones: tuple[str, ...]


def language(path: Path) -> Language:
    """The forms in a file of `languages/`: sections, one form a line."""
    _, *pieces = _SECTION.split(path.read_text("utf-8"))
    sections = {name: text.strip() for name, text in zip(pieces[::2], pieces[1::2], strict=True)}
    return Language(
        sections["reply"],
        sections["quoted"],
        _lines(sections["attributions"]),
        sections["headers"],
        _lines(sections["originals"]),
        _lines(sections["forwards"]),
        _lines(sections["phones"]),
    )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.split("\n") if line)


def layout(path: Path) -> dict[str, str]:
    """A mail of `layouts/` and what should come of it: `mail`, `new` and perhaps `signature`."""
    mail, *pieces = _MARK.split(path.read_text("utf-8"))
    return {"mail": mail, **dict(zip(pieces[::2], pieces[1::2], strict=True))}


def squeezed(text: str) -> str:
    """`text` without white space."""
    return re.sub(r"\s+", "", text)


def words(text: str) -> str:
    """The words of `text` alone, without the targets of links."""
    return " ".join(re.findall(r"\w+", _LINK_TARGET.sub(" ", text)))
