"""Figures beside their floor: a table for people, JSON for programs."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import cpu_count, getloadavg
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound on ours: `limit` is in the figure's unit, or a ratio to the floor, as the text says."""

    text: str
    kind: Literal["at most", "at most above floor", "at least of floor", "at most of floor"]
    limit: float

    def met(self, ours: float, floor: float) -> bool:
        """Whether ours is within the bound."""
        match self.kind:
            case "at most":
                return ours <= self.limit
            case "at most above floor":
                return ours <= floor + self.limit
            case "at least of floor":
                return ours >= floor * self.limit
            case "at most of floor":
                return ours <= floor * self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: what was measured, ours and the floor of the same run (both in `unit`), the aim if any."""

    what: str
    unit: str
    ours: float
    floor: float
    aim: Aim | None = None

    @property
    def ratio(self) -> float:
        """Ours by the floor."""
        return self.ours / self.floor if self.floor else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(name: str, setting: Mapping[str, str | int | float], figures: Sequence[Figure]) -> None:
    """Print the table and write `bench/results/<name>.json`. `setting` names sizes, sinks, sender counts."""
    console = Console(width=120)
    console.print(_table(name, figures))
    console.print(
        "  ".join(f"{key}: {value}" for key, value in setting.items()), style="dim", highlight=False
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(_record(name, setting, figures), indent=2) + "\n")


def _table(name: str, figures: Sequence[Figure]) -> Table:
    table = Table(title=name, title_justify="left")
    for heading in ("what", "ours", "floor", "ratio", "aim", "met"):
        table.add_column(heading, justify="left" if heading in ("what", "aim", "met") else "right")
    for each in figures:
        table.add_row(
            each.what,
            _shown(each.ours, each.unit),
            _shown(each.floor, each.unit) if each.floor else "–",
            f"{each.ratio:.2f}" if each.floor else "–",
            each.aim.text if each.aim else "",
            _met(each),
        )
    return table


def _shown(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.3g} {unit}"


def _met(figure: Figure) -> str:
    if figure.aim is None:
        return ""
    return "met" if figure.aim.met(figure.ours, figure.floor) else "not met"


def _record(
    name: str, setting: Mapping[str, str | int | float], figures: Sequence[Figure]
) -> dict[str, object]:
    lines = [
        {
            "what": each.what,
            "unit": each.unit,
            "ours": each.ours,
            "floor": each.floor or None,
            "ratio": each.ratio or None,
            "aim": each.aim.text if each.aim else None,
            "met": each.aim.met(each.ours, each.floor) if each.aim else None,
        }
        for each in figures
    ]
    return {
        "bench": name,
        "command": f"python -m bench.{name}",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"python": platform.python_version(), "cores": cpu_count(), "load": getloadavg()[0]},
        "setting": dict(setting),
        "figures": lines,
    }
