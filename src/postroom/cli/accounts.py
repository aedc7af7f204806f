"""The command that shows how the accounts fare."""

from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli.output import console, line, print_json, table
from postroom.cli.running import JsonOption, with_stored

if TYPE_CHECKING:
    from datetime import datetime

    from postroom.core.model import AccountStatus, Site
    from postroom.service import Service

    Found = list[tuple[Site, AccountStatus | None]]

COLOURS = {
    "watching": "green",
    "polling": "green",
    "connecting": "yellow",
    "backing_off": "yellow",
    "auth_failed": "red",
    "paused": "red",
    "stopped": "dim",
}
PAGE = 200


def accounts(
    site: Annotated[str | None, typer.Option("--site", help="This site alone; left out, all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the watcher of each account is doing, since when, and what keeps it from reading.

    What it shows is what the service last noted: each change at once, the last look every 15 minutes.

    \b
    postroom accounts
    postroom accounts --site acme --json
    """
    found = with_stored(lambda service: _found(service, site))
    if as_json:
        from postroom.api import views

        print_json({"items": [views.site(one, status) for one, status in found], "next": None})
    elif found:
        _print(found)
    else:
        typer.echo("No sites yet: set EMAIL_USER and start `postroom serve`, or make one by REST.")


async def _found(service: "Service", site_id: str | None) -> "Found":
    if site_id is not None:
        sites = [await service.accounts.get(site_id)]
    else:
        sites = await _all_sites(service)
    return [(site, await service.store.accounts.status(site.id)) for site in sites]


async def _all_sites(service: "Service") -> "list[Site]":
    found: list[Site] = []
    cursor: str | None = None
    while True:
        page = await service.store.sites.list(cursor, PAGE)
        found += page.items
        if (cursor := page.next) is None:
            return found


def _print(found: "Found") -> None:
    from rich.text import Text

    rows = table("site", "mailbox", "state", "since", "last look", "next try", "what is wrong")
    for site, status in found:
        channel = site.settings.channels.email
        state = status.state.value if status else "not watched"
        rows.add_row(
            site.id,
            Text(line(channel.email) if channel else "-"),
            Text(state.replace("_", " "), COLOURS.get(state, "dim")),
            _moment(status.since if status else None),
            _moment(status.last_sync_at if status else None),
            _moment(status.next_try_at if status else None),
            Text(line(status.error_text) if status else ""),
        )
    console().print(rows)


def _moment(value: "datetime | None") -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else "-"


COMMANDS = (accounts,)
