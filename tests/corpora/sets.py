"""Where the mail of other projects lies, and which of its files are mails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
needs_corpora = pytest.mark.skipif(
    not CORPORA.is_dir(), reason="the corpora are not there: ../shared/corpora"
)

SETS = ("imap_tools", "stalwart", "talon", "github-reply", "enmime", "ruby-mail", "sisimai")
_NO_MAIL = frozenset({".json", ".golden", ".md"})
_NOBODYS = frozenset({"LICENSE", "MIT-LICENSE", "COPYING"})


def mails_of(name: str) -> Iterator[Path]:
    """Every mail, and every body of one, in a set."""
    for path in sorted((CORPORA / name).rglob("*")):
        if path.is_file() and path.suffix not in _NO_MAIL and path.name not in _NOBODYS:
            yield path


def every_mail() -> Iterator[Path]:
    """The mails of all sets."""
    for name in SETS:
        yield from mails_of(name)


def named(path: Path) -> str:
    """A mail's path as the tables show it."""
    return path.relative_to(CORPORA).as_posix()
