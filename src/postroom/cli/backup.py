"""Commands about backups: take one of the embedded set-up, and tell that one was restored."""

import asyncio
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli.export import made_whole
from postroom.cli.output import print_json
from postroom.cli.running import JsonOption, environment, with_stored
from postroom.core.errors import Conflict, NotFound

if TYPE_CHECKING:
    from postroom.adapters.blobs import FileBlobs
    from postroom.core.registry import Unfinished
    from postroom.service import Service

AT_ONCE = 32

Target = Annotated[Path, typer.Argument(metavar="DIR", help="The directory to make.", file_okay=False)]


def backup(to: Target, as_json: JsonOption = False) -> None:
    """Copy the embedded database, its blobs and its key file into a new directory, while the service runs.

    To restore, stop the service and put the copy where the data directory was.
    With PostgreSQL see docs/guide/backup.md.

    \b
    postroom backup /backups/2026-03-02
    """
    from postroom.datadir import KEY_FILE, database_file

    settings = environment()
    database = database_file(settings)
    if database is None:
        raise Conflict(
            "this is for the embedded database", hint="With PostgreSQL use pg_dump: docs/guide/backup.md."
        )
    key_file = settings.data_dir / KEY_FILE

    async def work(service: "Service") -> tuple[int, int]:
        with made_whole(to.absolute()) as folder:
            counts = await _copy(service, database, folder)
            if settings.key_ring is None:
                shutil.copy2(key_file, folder / KEY_FILE)
            return counts

    blobs, missing = with_stored(work)
    if as_json:
        print_json({"directory": str(to.absolute()), "blobs": blobs, "missing": missing})
        return
    typer.echo(f"{to.absolute()}: the database and {blobs} blobs.")
    if missing:
        typer.echo(f"{missing} blobs were deleted meanwhile, or are damaged.", err=True)
    if settings.key_ring is not None:
        typer.echo("The key is not in it: keep a copy of POSTROOM_SECRET_KEY elsewhere.", err=True)


async def _copy(service: "Service", database: Path, folder: Path) -> tuple[int, int]:
    """Copy the database, then the bytes that the copy refers to; how many, and how many are missing."""
    from postroom.adapters.blobs import FileBlobs
    from postroom.datadir import DATABASE_FILE
    from postroom.storage.restoring import copy_database, referred_blobs

    copy = folder / DATABASE_FILE
    await copy_database(database, copy)
    copy.chmod(0o600)
    blobs = FileBlobs(folder / "blobs")
    copied = total = 0
    digests = referred_blobs(copy)
    while some := list(islice(digests, AT_ONCE)):
        copied += await _copy_blobs(service, some, blobs)
        total += len(some)
    await blobs.close()
    return copied, total - copied


async def _copy_blobs(service: "Service", digests: Sequence[str], target: "FileBlobs") -> int:
    """Copy some bytes; how many were there, whole."""
    from postroom.adapters.blobs import BlobDamaged

    async def copied(digest: str) -> bool:
        try:
            await target.put(await service.blobs.get(digest))
        except (NotFound, BlobDamaged):
            return False
        return True

    return sum(await asyncio.gather(*(copied(digest) for digest in digests)))


def restored(as_json: JsonOption = False) -> None:
    """Tell that the database was restored from a backup; once, before the service is started again.

    What was on its way in the backup becomes [b]unknown[/b] instead of being sent again,
    and what was due waits until Sent was looked at.
    A copy that `postroom backup` made needs no telling.

    \b
    pg_restore --dbname=postroom postroom.dump
    postroom restored
    """

    async def work(service: "Service") -> "Unfinished":
        from postroom.engine.restored import settle_restored

        return await settle_restored(service.store.restoring, service.clock)

    found = with_stored(work)
    if as_json:
        print_json({"unknown_submissions": found.submissions, "waiting_messages": found.messages})
    else:
        typer.echo(
            f"{found.submissions} submissions are unknown now, {found.messages} messages wait for 10 minutes."
        )


COMMANDS = (backup, restored)
