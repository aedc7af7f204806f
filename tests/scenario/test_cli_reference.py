"""docs/reference/cli.md names every command, and its examples are ones that the commands understand."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from postroom.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs/reference/cli.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `postroom ([^`]+)` \| .+ \| `([^`]+)` \|$", PAGE, re.MULTILINE)


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


KNOWN = dict(commands(get_command(app)))


def test_every_command_has_a_row() -> None:
    assert set(KNOWN) - {name for name, _ in ROWS} == set()
    assert len(ROWS) == len({name for name, _ in ROWS})


@pytest.mark.parametrize("name", KNOWN)
def test_its_example_is_understood(name: str) -> None:
    example = dict(ROWS)[name]
    words = shlex.split(example[example.index("postroom ") :])[1:]
    path = name.split()
    assert words[: len(path)] == path
    context = KNOWN[name].make_context(name, words[len(path) :])
    context.close()


@pytest.mark.parametrize("name", KNOWN)
def test_its_help_says_what_it_does(name: str) -> None:
    assert len((KNOWN[name].help or "").strip()) > 20
