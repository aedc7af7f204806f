"""Commands that run things: serve, check, migrate, demo."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli.output import console, line, print_json, table
from postroom.cli.running import JsonOption, SiteOption, environment, with_stored, with_visit

if TYPE_CHECKING:
    from postroom.engine.accounts import Check, SideCheck
    from postroom.service import Service


def serve() -> None:
    """Run the service: API, watchers and answers in one process, until Ctrl-C.

    The first start makes the data directory, a key for secrets at rest
    and an admin key for the API, and says where they are.
    A second start on the same directory is refused.

    \b
    export ENABLED_CLIENTS=email EMAIL_USER=agent@example.com EMAIL_PASSWORD=…
    export EMAIL_SMTP_HOST=smtp.example.com EMAIL_IMAP_HOST=imap.example.com
    postroom serve
    """
    from postroom.serve import serve as run

    run(environment())


def api() -> None:
    """Run the API alone. Needs PostgreSQL, and `postroom worker` beside it.

    Any number may run at once, behind any HTTP proxy.

    \b
    POSTROOM_DATABASE_URL=postgresql://… POSTROOM_SECRET_KEY=… postroom api
    """
    from postroom.serve import serve_api

    serve_api(environment())


def worker() -> None:
    """Watch mailboxes and answer, without the API. Needs PostgreSQL.

    Any number may run at once; they share the accounts evenly,
    and take over from one that dies within 15 seconds.

    \b
    POSTROOM_DATABASE_URL=postgresql://… POSTROOM_SECRET_KEY=… postroom worker
    """
    from postroom.serve import serve_worker

    serve_worker(environment())


def check(site: SiteOption = "default", as_json: JsonOption = False) -> None:
    """Connect and log in to the mailbox's servers; send nothing.

    Exit code 1 when something is wrong, with what to do about it.

    \b
    postroom check
    postroom check --site acme --json
    """
    settings = environment()

    async def work(service: "Service") -> "Check":
        email = service.settings.email
        if site == "default" and email is not None:
            return await service.accounts.check(email.channel, email.password, trusted=True)
        return await service.accounts.check_saved(site)

    result = (with_visit if settings.email else with_stored)(work)
    if as_json:
        sides = {"imap": _side(result.imap), "smtp": _side(result.smtp)}
        print_json({"success": result.success, **sides})
    else:
        _print_check(result)
    raise typer.Exit(0 if result.success else 1)


def _side(side: "SideCheck") -> dict[str, Any]:
    return {
        "success": side.success,
        "skipped": side.skipped,
        "code": side.code.value,
        "detail": side.detail,
        "hint": side.hint,
        "latency_ms": side.latency_ms,
    }


def _print_check(result: "Check") -> None:
    from rich.text import Text

    channel = result.channel
    rows = table("", "server", "result", "time", "what to do")
    for name, side, host, port in (
        ("read (IMAP)", result.imap, channel.incoming_server, channel.incoming_port),
        ("send (SMTP)", result.smtp, channel.outgoing_server, channel.outgoing_port),
    ):
        state = "not configured" if side.skipped else line(f"{side.code.value}: {side.detail}")
        colour = "dim" if side.skipped else "green" if side.success else "red"
        taken = "" if side.latency_ms is None else f"{side.latency_ms} ms"
        server = f"{host}:{port}" if host else ""
        rows.add_row(name, server, Text(state, colour), taken, Text(line(side.hint)))
    console().print(rows)


def migrate(as_json: JsonOption = False) -> None:
    """Bring the database up to date. `postroom serve` does it by itself for the embedded one.

    On PostgreSQL run it before the first start and after each upgrade.
    Two that run at once wait for each other.

    \b
    POSTROOM_DATABASE_URL=postgresql://… postroom migrate
    """
    from postroom.datadir import make_data_directory
    from postroom.service import migrate_all

    settings = environment()
    if settings.embedded:
        make_data_directory(settings.data_dir)
    asyncio.run(migrate_all(settings))
    if as_json:
        print_json({"migrated": True})
    else:
        typer.echo("The database is up to date.")


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up for playing, until Ctrl-C.")] = False,
) -> None:
    """Hold a whole conversation on this machine: a mail server, the service, a correspondent.

    Nothing leaves this machine, and nothing is left on it.

    \b
    postroom demo
    postroom demo --keep
    """
    from postroom.core.errors import NotFound

    try:
        from postroom.demo import DemoFailed, run_demo
    except ImportError as exc:
        raise NotFound("the demo needs more libraries: pip install 'postroom[sandbox]'") from exc
    try:
        run_demo(console(), keep=keep)
    except DemoFailed as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc


COMMANDS = (serve, api, worker, check, migrate, demo)
