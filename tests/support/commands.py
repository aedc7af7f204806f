"""`postroom …` and agents' programs as processes of their own, as a user runs them, until they end."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import Birth, forked
from tests.support.served import clean_environment

DEADLINE = 60


def postroom(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one command in the folder; its data directory is `folder/data` unless told otherwise."""
    with tempfile.TemporaryDirectory() as beside:
        streams = [Path(beside) / name for name in ("stdin", "stdout", "stderr")]
        given, output, errors = streams
        given.write_text(stdin)
        process = forked(Birth(folder, _environment(folder, variables), arguments, *streams))
        try:
            code = process.wait(DEADLINE)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, code, output.read_text(), errors.read_text())


def program(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in the folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=_environment(folder, variables),
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def _environment(folder: Path, variables: Mapping[str, str] | None) -> dict[str, str]:
    return clean_environment({"POSTROOM_DATA_DIR": str(folder / "data"), **(variables or {})})
