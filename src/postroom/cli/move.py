"""The command that takes an embedded set-up to PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli.output import print_json
from postroom.cli.running import JsonOption, environment
from postroom.core.errors import Conflict, NotFound

if TYPE_CHECKING:
    from postroom.config import Settings
    from postroom.storage.move import Moved, MoveProgress

Tell = Callable[["MoveProgress"], None]
Target = Annotated[
    str,
    typer.Option("--to", metavar="URL", help="postgresql://… of an empty database. Best without password."),
]


def move(to: Target, as_json: JsonOption = False) -> None:
    """Move the embedded database into PostgreSQL. Stop the service first.

    Every row is copied and compared; afterwards the embedded database is not served from any more.
    Ctrl-C stops it; run again, it goes on where it was. Blobs and keys stay where they are:
    the command ends by saying what to set. A password is better kept in ~/.pgpass than in the URL.

    \b
    postroom move --to postgresql://postroom@db.example.com/postroom
    """
    settings = _embedded()
    try:
        moved = _moved(settings, to, as_json=as_json)
    except KeyboardInterrupt:
        typer.echo("Stopped. What was copied is kept; the same command goes on.", err=True)
        raise
    rows, advice = sum(moved.rows.values()), _advice(settings)
    if as_json:
        print_json({"rows": rows, "tables": dict(moved.rows), "moved_before": moved.before, "next": advice})
        return
    typer.echo("It was moved there before." if moved.before else f"{rows} rows were moved, and are the same.")
    typer.echo("To serve from there:")
    for line in advice:
        typer.echo(f"- {line}")


def _embedded() -> "Settings":
    from postroom.datadir import database_file

    settings = environment()
    file = database_file(settings)
    if file is None:
        raise Conflict(
            "POSTROOM_DATABASE_URL names no embedded database, and that is what can be moved",
            hint="Leave the variable out, and set POSTROOM_DATA_DIR to where the embedded one lies.",
        )
    if not file.exists():
        raise NotFound(f"there is no database at {file}", hint="Set POSTROOM_DATA_DIR to where it lies.")
    return settings


def _moved(settings: "Settings", to: str, *, as_json: bool) -> "Moved":
    from postroom.datadir import MOVED_FILE, held_data_directory, location, write_private
    from postroom.service import migrate_all
    from postroom.storage import migrate
    from postroom.storage.engines import parse_url
    from postroom.storage.move import move_rows

    if parse_url(to).get_backend_name() != "postgresql":
        raise Conflict("--to must name a PostgreSQL database: postgresql://…")
    with held_data_directory(settings.data_dir):
        asyncio.run(migrate(location(settings)))
        asyncio.run(migrate_all(replace(settings, database_url=to)))
        with _silence() if as_json else _bar() as tell:
            moved = move_rows(location(settings), to, tell)
        with suppress(FileExistsError):
            write_private(settings.data_dir / MOVED_FILE, "")
    return moved


def _advice(settings: "Settings") -> list[str]:
    """What to set; no secret is shown."""
    from postroom.datadir import KEY_FILE

    folder = settings.data_dir.absolute()
    found = ["POSTROOM_DATABASE_URL: the URL that you gave, in every process."]
    if settings.key_ring is None:
        found.append(
            f"POSTROOM_SECRET_KEY: what stands in {folder / KEY_FILE}, or POSTROOM_SECRET_KEY_FILE with that "
            "name; the same in every process. Without it stored passwords cannot be opened."
        )
    if settings.blobs_url is None:
        found.append(
            f"The bytes of messages stay in {folder / 'blobs'}. On one machine keep POSTROOM_DATA_DIR; "
            "for several copy them to where all reach them, and set POSTROOM_BLOBS_URL."
        )
    return found


@contextmanager
def _silence() -> Iterator[Tell]:
    yield lambda _: None


@contextmanager
def _bar() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
        tasks = {phase: bar.add_task(phase, total=None) for phase in ("copying", "comparing")}

        def tell(progress: "MoveProgress") -> None:
            bar.update(
                tasks[progress.phase],
                description=f"{progress.phase} {progress.table}",
                completed=progress.done,
                total=progress.total,
            )

        yield tell


COMMANDS = (move,)
