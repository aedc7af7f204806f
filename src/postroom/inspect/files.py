"""The files that were named, and their bytes: every regular file of a folder, in an order that stays."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

STDIN = "-"
LARGEST = 64 << 20
"""Bytes of a file that are read; of a larger one only its header section counts."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as named. `raw`: its bytes; `oversize`: there are more. `error`: why it could not be read."""

    name: str
    raw: bytes = field(default=b"", repr=False)
    oversize: bool = False
    error: str = ""


def read_all(names: Iterable[str]) -> Iterator[File]:
    """Each file named, and each regular file below each folder named, sorted by path.

    `-` is standard input. What cannot be read comes back with its `error`; nothing is raised.
    """
    for name in names:
        if name == STDIN:
            yield _sized(name, sys.stdin.buffer.read(LARGEST + 1))
        elif Path(name).is_dir():
            yield from _below(name)
        else:
            yield _read(name)


def _below(folder: str) -> Iterator[File]:
    failed: list[File] = []
    names: list[str] = []
    for parent, _, entries in os.walk(folder, onerror=lambda exc: failed.append(_failed(folder, exc))):
        paths = (os.path.join(parent, entry) for entry in entries)  # noqa: PTH118 - Path drops "./"
        names.extend(path for path in paths if _is_regular(path))
    yield from failed
    yield from map(_read, sorted(names, key=lambda name: Path(name).parts))


def _is_regular(path: str) -> bool:
    """Symbolic links count as what they lead to; one that leads nowhere is named, to be reported."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return True


def _read(name: str) -> File:
    try:
        if not stat.S_ISREG(Path(name).stat().st_mode):
            return File(name, error="Not a regular file")
        with Path(name).open("rb") as stream:
            return _sized(name, stream.read(LARGEST + 1))
    except (OSError, ValueError) as exc:
        return _failed(name, exc)


def _sized(name: str, raw: bytes) -> File:
    return File(name, raw[:LARGEST], oversize=len(raw) > LARGEST)


def _failed(name: str, exc: Exception) -> File:
    if not isinstance(exc, OSError):
        return File(name, error="Not a file name")
    where = exc.filename if isinstance(exc.filename, str) else name
    return File(where, error=exc.strerror or "Cannot be read")
