"""The data directory: made, held by one service at a time, and the key file in it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from postroom.adapters.vault import KeyRing, make_key
from postroom.config import Settings, wrong

KEY_FILE = "secret-key"
DATABASE_FILE = "postroom.db"
LOCK_FILE = "lock"
MOVED_FILE = "moved"


def database_url(settings: Settings) -> str:
    """Where the database to serve from is. Raises `ConfigError` when it was moved: two that answer the same
    mail are one too many."""
    mark = settings.data_dir / MOVED_FILE
    if settings.embedded and mark.exists():
        raise wrong(
            "POSTROOM_DATABASE_URL",
            "is not set, and the embedded database was moved to PostgreSQL",
            f"set it to where that is; to go back all the same, remove {mark.absolute()}",
        )
    return location(settings)


def location(settings: Settings) -> str:
    """Where the database is, served from or not: as set, else a SQLite file in the data directory."""
    return settings.database_url or f"sqlite:///{settings.data_dir.absolute() / DATABASE_FILE}"


def database_file(settings: Settings) -> Path | None:
    """The file of the embedded database, whether it exists or not; None with another database."""
    from postroom.storage.engines import parse_url

    name = parse_url(location(settings)).database if settings.embedded else None
    return Path(name) if name else None


def make_data_directory(path: Path) -> None:
    """Make the directory, for its owner alone, if it is not there. Raises `ConfigError`."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise wrong("POSTROOM_DATA_DIR", "cannot be made") from exc


@contextmanager
def held_data_directory(path: Path) -> Iterator[None]:
    """Make the directory and hold it for the time of the block. Raises `ConfigError` when another has it."""
    make_data_directory(path)
    try:
        handle = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise wrong("POSTROOM_DATA_DIR", "cannot be written to") from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(handle)
        raise wrong(
            "POSTROOM_DATA_DIR",
            "is in use by another running Postroom",
            "stop that one first, or give this one a directory of its own",
        ) from exc
    try:
        yield
    finally:
        os.close(handle)


def key_ring(settings: Settings) -> tuple[KeyRing, Path | None]:
    """The ring of key-encryption keys, and the file it was just made in, if it was.

    With the embedded database a key is made on the first start. Raises `ConfigError`.
    """
    if settings.key_ring is not None:
        return settings.key_ring, None
    if not settings.embedded:
        raise wrong("POSTROOM_SECRET_KEY", "is missing, and required with PostgreSQL")
    path = settings.data_dir / KEY_FILE
    made = None
    if not path.exists():
        with suppress(FileExistsError):  # another process was faster
            write_private(path, make_key() + "\n")
            made = path
    return _read_key_file(path), made


def _read_key_file(path: Path) -> KeyRing:
    hint = "put back the file that was there, or set POSTROOM_SECRET_KEY to the key that was in it"
    try:
        return KeyRing.parse(path.read_text(encoding="ascii").strip())
    except OSError as exc:
        raise wrong("POSTROOM_DATA_DIR", f"its file {KEY_FILE} cannot be read", hint) from exc
    except ValueError as exc:
        raise wrong("POSTROOM_DATA_DIR", f"its file {KEY_FILE} holds no keys: {exc}", hint) from None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read: whole, durable, or not at all.

    Raises `FileExistsError` rather than replace one.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.link(draft, path)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
