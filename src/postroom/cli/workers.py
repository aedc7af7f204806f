"""The command that shows which processes watch the accounts."""

from typing import TYPE_CHECKING

import typer

from postroom.cli.output import console, line, print_json, table
from postroom.cli.running import JsonOption, with_stored

if TYPE_CHECKING:
    from postroom.core.shares import WorkerSeen
    from postroom.service import Service

ALONE = (
    "No workers share this database: with the embedded one, `postroom serve` watches every account itself."
)
NOBODY = "No worker has been seen in the last minutes: nobody reads mail. Start `postroom worker`."


def workers(as_json: JsonOption = False) -> None:
    """List the workers that share the accounts, and how many each of them holds.

    A worker that has died is shown for some minutes; what it held is the others' by then.

    \b
    postroom workers
    postroom workers --json
    """

    async def work(service: "Service") -> "tuple[bool, tuple[WorkerSeen, ...]]":
        return service.settings.embedded, await service.store.shares.workers(service.clock.now())

    embedded, seen = with_stored(work)
    if as_json:
        from postroom.api import views

        print_json({"items": [views.worker(one) for one in seen], "next": None})
    elif seen:
        _print_workers(seen)
    else:
        typer.echo(ALONE if embedded else NOBODY)


def _print_workers(seen: "tuple[WorkerSeen, ...]") -> None:
    from rich.text import Text

    rows = table("worker", "role", "state", "accounts", "since", "last seen")
    for one in seen:
        rows.add_row(
            Text(line(one.worker.id)),
            Text(line(one.worker.role)),
            Text("live", "green") if one.live else Text("gone", "red"),
            str(one.accounts),
            f"{one.worker.started_at:%Y-%m-%d %H:%M:%S}",
            f"{one.seen_at:%Y-%m-%d %H:%M:%S}",
        )
    console().print(rows)


COMMANDS = (workers,)
