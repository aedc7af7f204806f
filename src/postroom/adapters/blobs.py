"""Exact bytes by digest, in a directory: written, synced, renamed, and read back whole or not at all."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from postroom.adapters.together import Together
from postroom.core.clock import SystemClock
from postroom.core.errors import Move, NotFound, PostroomError
from postroom.core.ports import Blobs, Clock, NoSteps, Steps

T = TypeVar("T")

_HEX = frozenset("0123456789abcdef")
_ABANDONED_AFTER = 24 * 3600.0
_PUTTING, _PUT_TOGETHER = 8, 4
"""Threads that write at once, and how many blobs each takes along: syncs that run side by side share the
disk's work (0.6 ms a blob, where two threads with 32 each took 1.9)."""

_GETTING, _GOT_TOGETHER = 2, 32
_ASIDE = "aside-"


class BlobDamaged(PostroomError):
    """What is stored under a digest is not what was put there; the medium lost or changed bytes."""

    code = "damaged_blob"
    temporary = False
    move = Move.OWNER

    def __init__(self) -> None:
        super().__init__("stored bytes are damaged: they do not match their digest")


class FileBlobs:
    """`core.ports.Blobs` in a directory.

    A blob lies at `ab/abcd…`. It is written to `tmp/`, synced, renamed into place, and the folder is synced,
    so after `put` returns a power cut cannot take it back, and a half-written file is never seen under a
    digest. What is put at the same time is written together. `steps` hears of `blob:written` and
    `blob:renamed`.
    """

    def __init__(self, root: Path, clock: Clock | None = None, steps: Steps | None = None) -> None:
        self._clock = clock or SystemClock()
        self._steps = steps or NoSteps()
        self._root = root
        self._incoming = root / "tmp"
        self._threads = ThreadPoolExecutor(_PUTTING + _GETTING, thread_name_prefix="blobs")
        self._puts = Together(self._threads, self._put_all, at_once=_PUTTING, most=_PUT_TOGETHER)
        self._gets = Together(self._threads, self._get_all, at_once=_GETTING, most=_GOT_TOGETHER)
        self._names = count()
        self._lay_out()
        self._clear_incoming()

    async def put(self, data: bytes) -> str:
        """Store durably and give the digest; equal bytes are stored once."""
        return await self._puts.run(data)

    async def get(self, digest: str) -> bytes:
        """The bytes, checked against their digest. Raises `NotFound`, `BlobDamaged`."""
        return await self._gets.run(digest)

    async def delete(self, digest: str) -> None:
        """Remove; nothing happens when it is gone already."""
        await self._run(lambda: self._path(digest).unlink(missing_ok=True) if is_digest(digest) else None)

    async def older(self, than: datetime) -> AsyncIterator[tuple[str, ...]]:
        """`Blobs.older`: a batch is one of the 256 folders."""
        for first in range(256):
            found = await self._run(partial(self._older, self._root / f"{first:02x}", than.timestamp()))
            if found:
                yield found

    async def discard(self, digest: str, put_before: datetime) -> bool:
        """`Blobs.discard`."""
        return await self._run(lambda: not is_digest(digest) or self._discard(digest, put_before.timestamp()))

    async def close(self) -> None:
        """Wait for what is being written and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest

    def _put_all(self, blobs: Sequence[bytes]) -> list[str | Exception]:
        """Write them and then sync the folders, of which many may share one."""
        put = [_or_fault(partial(self._put, data)) for data in blobs]
        # Also when one was there already: another may have renamed it and not synced the folder yet.
        folders = {digest[:2] for digest in put if isinstance(digest, str)}
        synced = {first: _or_fault(partial(_sync_folder, self._root / first)) for first in sorted(folders)}
        return [(synced[digest[:2]] or digest) if isinstance(digest, str) else digest for digest in put]

    def _put(self, data: bytes) -> str:
        digest = sha256(data).hexdigest()
        path = self._path(digest)
        if not (_holds(path, len(data)) and self._touched(path)):
            draft = self._write(digest, data)
            self._steps.reached("blob:written")
            draft.rename(path)
            self._steps.reached("blob:renamed")
        return digest

    def _get_all(self, digests: Sequence[str]) -> list[bytes | Exception]:
        return [_or_fault(partial(self._get, digest)) for digest in digests]

    def _get(self, digest: str) -> bytes:
        return checked(digest, self._read(digest))

    def _touched(self, path: Path) -> bool:
        """Note that it is put now, which `discard` looks at last; whether it is still there.

        Asked afterwards: between finding the file by its name and writing its time, the kernel lets another
        move it aside, see the old time and remove it.
        """
        with suppress(FileNotFoundError):
            self._date(path)
        return path.exists()

    def _date(self, file: Path | int) -> None:
        now = self._clock.now().timestamp()
        os.utime(file, (now, now))

    def _older(self, folder: Path, than: float) -> tuple[str, ...]:
        found = (entry.name for entry in _entries(folder) if _put_at(entry, than) < than)
        return tuple(name for name in found if is_digest(name))

    def _discard(self, digest: str, put_before: float) -> bool:
        """Move it aside, look when it was put, and put it back if that was lately: whoever puts it at this
        very moment either touches it before it is moved, which is seen, or finds it gone and writes it.
        Under a name of its own: another who discards it must not replace what was looked at."""
        path, aside = self._path(digest), self._incoming / f"{_ASIDE}{self._own_name(digest)}"
        try:
            if path.stat().st_mtime >= put_before:
                return False
            path.rename(aside)
        except FileNotFoundError:
            return True
        try:
            if aside.stat().st_mtime < put_before:
                aside.unlink()
                return True
            self._put_back(aside)
        except FileNotFoundError:  # a process that has just started put it back
            return False
        return False

    def _put_back(self, aside: Path) -> None:
        path = self._path(aside.name.removeprefix(_ASIDE).partition(".")[0])
        aside.rename(path)
        _sync_folder(path.parent)

    def _own_name(self, digest: str) -> str:
        return f"{digest}.{os.getpid()}.{next(self._names)}"

    def _write(self, digest: str, data: bytes) -> Path:
        path = self._incoming / self._own_name(digest)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            self._date(handle)
            os.fsync(handle)
        return path

    def _read(self, digest: str) -> bytes:
        if is_digest(digest):
            for place in self._places(digest):
                with suppress(FileNotFoundError):
                    return place.read_bytes()
        raise no_such_blob()

    def _places(self, digest: str) -> Iterator[Path]:
        """Where it lies; else where `_discard` has it at this moment, or has put it back meanwhile."""
        yield self._path(digest)
        yield from self._incoming.glob(f"{_ASIDE}{digest}*")
        yield self._path(digest)

    def _lay_out(self) -> None:
        """All folders at once, so that none has to be made and synced beside a blob."""
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        for first in range(256):
            (self._root / f"{first:02x}").mkdir(mode=0o700, exist_ok=True)
        _sync_folder(self._root.parent)
        _sync_folder(self._root)

    def _clear_incoming(self) -> None:
        """What a crash left: half written (young files may belong to a process that is writing now), or
        moved aside and not looked at."""
        horizon = time.time() - _ABANDONED_AFTER
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):  # another process is faster
                if path.name.startswith(_ASIDE):
                    self._put_back(path)
                elif path.stat().st_mtime < horizon:
                    path.unlink()


def _or_fault(call: Callable[[], T]) -> T | Exception:
    """What the call gives, or raises: one that fails must not take along those beside it."""
    try:
        return call()
    except Exception as exc:  # noqa: BLE001 - it is its caller's to handle
        return exc


def is_digest(text: str) -> bool:
    """Whether `text` is SHA-256 in lower-case hex; anything else must never become a path."""
    return len(text) == 64 and _HEX.issuperset(text)


def checked(digest: str, data: bytes) -> bytes:
    """`data` if it has this digest. Raises `BlobDamaged`."""
    if sha256(data).hexdigest() != digest:
        raise BlobDamaged
    return data


def no_such_blob() -> NotFound:
    """What `get` raises for a digest that is not stored."""
    return NotFound("no such bytes are stored")


def open_blobs(url: str, data_dir: Path, clock: Clock | None = None, steps: Steps | None = None) -> Blobs:
    """The blob store at `url`: empty means `blobs` in `data_dir`, `file:///path` a directory, anything else
    (`s3://bucket/prefix`, …) is for obstore. Raises `ValueError` that says what is wrong with the URL."""
    if not url:
        return FileBlobs(data_dir / "blobs", clock, steps)
    parts = urlsplit(url)
    if parts.scheme != "file":
        from postroom.adapters.object_blobs import open_object_blobs

        return open_object_blobs(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError("must be file:/// and an absolute path (three slashes)")
    return FileBlobs(Path(unquote(parts.path)), clock, steps)


def _entries(folder: str | Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _put_at(entry: "os.DirEntry[str]", otherwise: float) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return otherwise


def _holds(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
