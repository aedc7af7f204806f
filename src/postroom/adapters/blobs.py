"""Exact bytes by digest, in a directory: written, synced, renamed, and read back whole or not at all."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from postroom.core.errors import Move, NotFound, PostroomError
from postroom.core.ports import Blobs

T = TypeVar("T")

_HEX = frozenset("0123456789abcdef")
_ABANDONED_AFTER = 24 * 3600.0
_WRITERS = 4


class BlobDamaged(PostroomError):
    """What is stored under a digest is not what was put there; the medium lost or changed bytes."""

    code = "damaged_blob"
    temporary = False
    move = Move.OWNER

    def __init__(self) -> None:
        super().__init__("stored bytes are damaged: they do not match their digest")


class FileBlobs:
    """`core.ports.Blobs` in a directory.

    A blob lies at `ab/cd/abcd…`. It is written to `tmp/`, synced, renamed into place, and the folder is
    synced, so after `put` returns a power cut cannot take it back, and a half-written file is never seen
    under a digest. Writes run on a few threads: calling `put` many times at once is the way to batch.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "tmp"
        self._threads = ThreadPoolExecutor(_WRITERS, thread_name_prefix="blobs")
        self._durable: set[Path] = set()
        self._lay_out()
        self._remove_abandoned()

    async def put(self, data: bytes) -> str:
        """Store durably and give the digest; equal bytes are stored once."""
        return await self._run(lambda: self._put(data))

    async def get(self, digest: str) -> bytes:
        """The bytes, checked against their digest. Raises `NotFound`, `BlobDamaged`."""
        return await self._run(lambda: checked(digest, self._read(digest)))

    async def delete(self, digest: str) -> None:
        """Remove; nothing happens when it is gone already."""
        await self._run(lambda: self._path(digest).unlink(missing_ok=True) if is_digest(digest) else None)

    async def close(self) -> None:
        """Wait for what is being written and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest[2:4] / digest

    def _put(self, data: bytes) -> str:
        digest = sha256(data).hexdigest()
        path = self._path(digest)
        self._make_folder(path.parent)
        if not _holds(path, len(data)):
            self._write(data).rename(path)
        # Also when it was there already: another task may have renamed it and not synced the folder yet.
        _sync_folder(path.parent)
        return digest

    def _write(self, data: bytes) -> Path:
        handle, name = tempfile.mkstemp(dir=self._incoming)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)

    def _read(self, digest: str) -> bytes:
        if not is_digest(digest):
            raise no_such_blob()
        try:
            return self._path(digest).read_bytes()
        except FileNotFoundError as exc:
            raise no_such_blob() from exc

    def _lay_out(self) -> None:
        """The upper level at once, so that a new lower folder costs one sync more and not two."""
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        for first in range(256):
            (self._root / f"{first:02x}").mkdir(mode=0o700, exist_ok=True)
        _sync_folder(self._root.parent)
        _sync_folder(self._root)

    def _make_folder(self, folder: Path) -> None:
        """Known to be durable, not only there: another thread may have made it and not synced it yet."""
        if folder in self._durable:
            return
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)
        self._durable.add(folder)

    def _remove_abandoned(self) -> None:
        """What a crash left half written. Young files may belong to a process that is writing now."""
        horizon = time.time() - _ABANDONED_AFTER
        for path in self._incoming.iterdir():
            if path.stat().st_mtime < horizon:
                path.unlink(missing_ok=True)


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


def open_blobs(url: str, data_dir: Path) -> Blobs:
    """The blob store at `url`: empty means `blobs` in `data_dir`, `file:///path` a directory, anything else
    (`s3://bucket/prefix`, …) is for obstore. Raises `ValueError` that says what is wrong with the URL."""
    if not url:
        return FileBlobs(data_dir / "blobs")
    parts = urlsplit(url)
    if parts.scheme != "file":
        from postroom.adapters.object_blobs import open_object_blobs

        return open_object_blobs(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError("must be file:/// and an absolute path (three slashes)")
    return FileBlobs(Path(unquote(parts.path)))


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
