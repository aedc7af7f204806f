"""All sets through `postroom inspect --json` in one call, as a user runs it."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.corpora.figures import Figures
from tests.corpora.sets import CORPORA, SETS, mails_of, named, needs_corpora

pytestmark = needs_corpora


@pytest.fixture(scope="module")
def told() -> tuple[dict[str, dict[str, Any]], float]:
    """The JSON line of each file below the sets, and the seconds of the call."""
    folders = [str(CORPORA / name) for name in SETS]
    command = [sys.executable, "-m", "postroom", "inspect", "--json", *folders]
    start = time.perf_counter()
    lines = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
    seconds = time.perf_counter() - start
    return {record["file"]: record for record in map(json.loads, lines)}, seconds


@pytest.fixture
def records(told: tuple[dict[str, dict[str, Any]], float]) -> dict[str, dict[str, Any]]:
    return told[0]


def test_every_file_gets_a_line_and_none_an_error(
    told: tuple[dict[str, dict[str, Any]], float], figures: Figures
) -> None:
    records, seconds = told
    files = {str(path) for name in SETS for path in (CORPORA / name).rglob("*") if path.is_file()}
    unread = [file for file, record in records.items() if "error" in record or record["quarantined"]]
    figures.add(
        "all", "files read by one postroom inspect", f"{len(records) - len(unread)} of {len(files)}", "all"
    )
    figures.add("all", "seconds it took, start included", f"{seconds:.1f}", "")
    assert records.keys() == files
    assert unread == []


def test_d7_bounces_are_told_with_their_recipients(
    records: dict[str, dict[str, Any]], figures: Figures
) -> None:
    bounces = {named(p): records[str(p)] for p in mails_of("sisimai") if p.name[:4] not in ("arf-", "rfc3")}
    told = [name for name, record in bounces.items() if record["report"] and record["report"]["recipients"]]
    print("no recipient told:", sorted(bounces.keys() - set(told)))
    figures.add("sisimai", "bounces whose recipients are told", f"{len(told)} of {len(bounces)}", "97 %")
    assert len(told) >= 0.97 * len(bounces)
