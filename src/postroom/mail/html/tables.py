"""Which tables of an HTML mail hold data, and which only place things on the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from postroom.mail.html.tokens import Token

_LONGEST_CELL = 300
_MOST_TABLES = 2_000


@dataclass(slots=True)
class _Table:
    """What is counted of one table: cells of each row, whether a cell is a heading, long or a block."""

    place: int
    rows: list[int] = field(default_factory=list)
    headed: bool = False
    layout: bool = False
    cell: int = 0


def data_tables(tokens: Sequence[Token]) -> frozenset[int]:
    """The places of the `table` tags that hold data: rows of equally many short cells, no table inside."""
    found: list[int] = []
    open_: list[_Table] = []
    for place, token in enumerate(tokens):
        if token.kind == "text":
            if open_ and not token.name:
                _text(open_[-1], token.text)
        elif token.name == "table":
            if token.kind == "close":
                _close(open_, found)
            else:
                if open_:
                    open_[-1].layout = True
                if len(open_) < _MOST_TABLES:
                    open_.append(_Table(place, layout="presentation" in token.text))
        elif open_ and token.kind == "open":
            _tag(open_[-1], token.name)
    while open_:
        _close(open_, found)
    return frozenset(found)


def _text(table: _Table, text: str) -> None:
    table.cell += len(text.strip())
    table.layout = table.layout or table.cell > _LONGEST_CELL


def _tag(table: _Table, name: str) -> None:
    if name == "tr":
        table.rows.append(0)
    elif name in {"td", "th"}:
        table.headed = table.headed or name == "th"
        table.cell = 0
        if table.rows:
            table.rows[-1] += 1
    elif name in {"ul", "ol", "blockquote", "pre", "hr", "h1", "h2", "h3"}:
        table.layout = True


def _close(open_: list[_Table], found: list[int]) -> None:
    if not open_:
        return
    table = open_.pop()
    widths = [width for width in table.rows if width]
    if table.layout or len(widths) < 2 or max(widths) < 2:
        return
    if table.headed or min(widths) == max(widths):
        found.append(table.place)
