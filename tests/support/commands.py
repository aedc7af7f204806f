"""`postroom …` and agents' programs as processes of their own, as a user runs them, until they end."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.served import clean_environment

DEADLINE = 60


def postroom(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one command in the folder; its data directory is `folder/data` unless told otherwise."""
    return program(folder, "-m", "postroom", *arguments, variables=variables, stdin=stdin)


def program(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in the folder."""
    given = {"POSTROOM_DATA_DIR": str(folder / "data"), **(variables or {})}
    return subprocess.run(
        [sys.executable, *arguments],
        env=clean_environment(given),
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
