"""The table at the end of `make corpus`: a row for each thing that was counted in a set."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """What was counted in a set, what came out, and what was aimed for."""

    collection: str
    what: str
    figure: str
    aim: str


@dataclass(slots=True)
class Figures:
    """The rows of this run."""

    rows: list[Row] = field(default_factory=list)

    def add(self, collection: str, what: str, figure: str, aim: str) -> None:
        """Add a row."""
        self.rows.append(Row(collection, what, figure, aim))

    def lines(self) -> list[str]:
        """The table as lines of text."""
        cells = [("set", "what", "figure", "aim")]
        cells += [(row.collection, row.what, row.figure, row.aim) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
