"""The command that reads a mailbox's history."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli.desk import SiteArgument
from postroom.cli.output import print_json
from postroom.cli.running import JsonOption, environment, with_stored

if TYPE_CHECKING:
    from postroom.engine.backfill import BackfillProgress
    from postroom.service import Service

Tell = Callable[["BackfillProgress"], None]
Days = Annotated[int, typer.Option("--days", min=1, max=36_500, help="How far back to read.")]


def backfill(site: SiteArgument = "default", days: Days = 90, as_json: JsonOption = False) -> None:
    """Read what a mailbox received before: stored and threaded, waking no agent.

    The running service goes on beside it. Ctrl-C stops it; run again, it goes on where it was.
    With --json it prints a line for each step, the last one with the state [b]done[/b].

    \b
    postroom backfill default --days 90
    postroom backfill acme --days 365 --json
    """
    from postroom.logs import configure

    settings = environment()
    configure(settings.log_level, settings.log_format)

    async def work(service: "Service") -> "BackfillProgress":
        with _json_lines() if as_json else _bar() as tell:
            return await service.backfill.run(site, days, tell)

    try:
        ended = with_stored(work)
    except KeyboardInterrupt:
        typer.echo(
            f"Stopped. What was read is kept; `postroom backfill {site} --days {days}` goes on.", err=True
        )
        raise
    if not as_json:
        typer.echo(f"{ended.read} messages were read, {ended.known} of the last {days} days were there.")


@contextmanager
def _json_lines() -> Iterator[Tell]:
    yield lambda progress: print_json(_document(progress))


def _document(progress: "BackfillProgress") -> dict[str, Any]:
    return {
        "state": progress.state,
        "found": progress.found,
        "known": progress.known,
        "read": progress.read,
        "bytes": progress.octets,
        "until": progress.until.isoformat() if progress.until else None,
        "reason": progress.reason,
    }


@contextmanager
def _bar() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task("looking", total=None)

        def tell(progress: "BackfillProgress") -> None:
            bar.update(
                task,
                description=_described(progress),
                total=progress.found or None,
                completed=progress.known + progress.read,
            )

        yield tell


def _described(progress: "BackfillProgress") -> str:
    if progress.until is None:
        return progress.state
    return f"waiting until {progress.until.astimezone():%H:%M:%S} ({progress.reason})"


COMMANDS = (backfill,)
