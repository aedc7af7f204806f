"""Collects the figures of all sets and prints them as one table."""

import pytest

from tests.corpora.figures import Figures
from tests.corpora.sets import CORPORA

_FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = Figures()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where a test writes down what it counted."""
    return request.config.stash[_FIGURES]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[_FIGURES]
    if not CORPORA.is_dir():
        terminalreporter.write_line(f"no corpora at {CORPORA}: their tests were skipped")
    elif rows.rows:
        terminalreporter.section("corpora")
        for line in rows.lines():
            terminalreporter.write_line(line)
