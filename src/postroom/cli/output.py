"""What commands print: JSON for programs, tables and text for people. Mail is hostile, terminals obey."""

import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
WIDE = 200
"""Columns where nobody looks: what reads us then gets whole lines."""


def print_json(document: dict[str, Any]) -> None:
    """One document on one line."""
    typer.echo(json.dumps(document))


def shown(text: str) -> str:
    """The text without what a terminal would obey: control characters and marks of direction."""
    return "".join(ch if ch in "\n\t" or _harmless(ch) else "\N{REPLACEMENT CHARACTER}" for ch in text)


def line(text: str) -> str:
    """The same on one line."""
    return " ".join(shown(text).split())


def _harmless(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") and char not in _DIRECTION_MARKS


def console() -> "Console":
    """Where people look."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def table(*columns: str) -> "Table":
    """An empty table; the last column gives way when there is little room."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        made.add_column(name, no_wrap=name != columns[-1], overflow="fold")
    return made
