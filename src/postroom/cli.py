"""The command line: `postroom …`."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

import postroom
from postroom.config import ConfigError, Settings, load
from postroom.core.agent import Attachment
from postroom.core.errors import NotFound, PostroomError
from postroom.core.model import Message, MessageState
from postroom.core.submission import SubmissionStatus
from postroom.engine.accounts import Check, SideCheck
from postroom.engine.compose import NewMail
from postroom.engine.keys import Keyring
from postroom.inspect.command import inspect
from postroom.service import DEFAULT_SITE, Service, database_url, opened

T = TypeVar("T")

USAGE_EXIT = 2

app = typer.Typer(
    help="Gives an AI agent a mailbox: any existing one, over IMAP and SMTP.",
    epilog="Settings come from the environment and from .env; see docs/reference/environment.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
keys_app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
secrets_app = typer.Typer(help="Look after the secrets at rest.", no_args_is_help=True)
app.command()(inspect)
app.add_typer(keys_app, name="keys")
app.add_typer(secrets_app, name="secrets")

SiteOption = Annotated[str, typer.Option("--site", help="The site; the environment's own is [b]default[/b].")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def main() -> None:
    """Run the command line; every fault is a clear line and an exit code, never a traceback."""
    try:
        app()
    except ConfigError as exc:
        _fail(*exc.lines, code=USAGE_EXIT)
    except PostroomError as exc:
        _fail(exc.text, *([exc.hint] if exc.hint else []))


def _fail(*lines: str, code: int = 1) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise SystemExit(code)


def _settings() -> Settings:
    return load(os.environ, Path.cwd())


def _run(work: Callable[[Service], Awaitable[T]]) -> T:
    """Open the service that the environment describes, and do something with it."""

    async def working() -> T:
        async with opened(_settings()) as service:
            return await work(service)

    return asyncio.run(working())


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(postroom.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
def serve() -> None:
    """Run the service: API, watchers and answers in one process, until Ctrl-C."""
    from postroom.serve import serve as run

    sys.path.insert(0, str(Path.cwd()))
    run(_settings())


@app.command()
def check(site: SiteOption = DEFAULT_SITE, as_json: JsonOption = False) -> None:
    """Connect and log in to the mailbox's servers; send nothing. Exit code 1 when something is wrong."""

    async def work(service: Service) -> Check:
        await _prepared(service)
        return await service.accounts.check_saved(site)

    result = _run(work)
    if as_json:
        typer.echo(
            json.dumps({"success": result.success, "imap": _side(result.imap), "smtp": _side(result.smtp)})
        )
    else:
        _print_check(result)
    raise typer.Exit(0 if result.success else 1)


async def _prepared(service: Service) -> None:
    email = service.settings.email
    await service.accounts.set_environment(DEFAULT_SITE, email.document if email else None)


def _side(side: SideCheck) -> dict[str, Any]:
    return {
        "success": side.success,
        "skipped": side.skipped,
        "code": side.code.value,
        "detail": side.detail,
        "hint": side.hint,
        "latency_ms": side.latency_ms,
    }


def _print_check(result: Check) -> None:
    table = Table("", "server", "result", "time", "what to do")
    channel = result.channel
    for name, side, host, port in (
        ("read (IMAP)", result.imap, channel.incoming_server, channel.incoming_port),
        ("send (SMTP)", result.smtp, channel.outgoing_server, channel.outgoing_port),
    ):
        state = "not configured" if side.skipped else f"{side.code.value}: {side.detail}"
        colour = "dim" if side.skipped else "green" if side.success else "red"
        taken = f"{side.latency_ms} ms" if side.latency_ms is not None else ""
        server = f"{host}:{port}" if host else ""
        table.add_row(name, server, f"[{colour}]{state}[/{colour}]", taken, side.hint)
    Console().print(table)


@app.command()
def send(
    to: Annotated[list[str], typer.Option("--to", help="A recipient; may be given several times.")],
    subject: Annotated[str, typer.Option("--subject", help="The subject.")],
    text: Annotated[
        str | None, typer.Argument(help="The text in Markdown; - or nothing reads it from stdin.")
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", help="A file to attach.", exists=True)
    ] = None,
    cc: Annotated[list[str] | None, typer.Option("--cc")] = None,
    bcc: Annotated[list[str] | None, typer.Option("--bcc")] = None,
    thread: Annotated[str | None, typer.Option("--thread", help="Reply in this conversation.")] = None,
    site: SiteOption = DEFAULT_SITE,
    as_json: JsonOption = False,
) -> None:
    """Send a mail as the site.

    Example: postroom send --to ada@example.com --subject Hello "How are you?"
    """
    content = sys.stdin.read() if text in (None, "-") else str(text)
    files = tuple(Attachment(path.name, path.read_bytes()) for path in attach or [])
    mail = NewMail(
        to=tuple(to),
        subject=subject,
        content=content,
        cc=tuple(cc or ()),
        bcc=tuple(bcc or ()),
        thread_id=thread,
        attachments=files,
    )

    async def work(service: Service) -> Any:
        await _prepared(service)
        return await service.mailer.send(await service.accounts.get(site), mail)

    submission = _run(work)
    done = submission.status in (SubmissionStatus.SENT, SubmissionStatus.PARTLY_SENT)
    if as_json:
        statuses = {r.address: {"status": r.status.value, "code": r.code} for r in submission.recipients}
        typer.echo(
            json.dumps(
                {
                    "submission_id": submission.id,
                    "status": submission.status.value,
                    "message_id": submission.message_id,
                    "thread_id": submission.thread_id,
                    "recipients": statuses,
                }
            )
        )
    else:
        typer.echo(f"{submission.status.value}  {submission.id}  <{submission.message_id}>")
        for recipient in submission.recipients:
            typer.echo(
                f"  {recipient.address}: {recipient.status.value} {recipient.code or ''} {recipient.text}"
            )
    raise typer.Exit(0 if done or submission.status is SubmissionStatus.QUEUED else 1)


@app.command()
def threads(
    site: SiteOption = DEFAULT_SITE,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List conversations, the last active first."""

    async def work(service: Service) -> Any:
        await service.accounts.get(site)
        return await service.store.lists.threads(site, {}, None, limit)

    page = _run(work)
    if as_json:
        from postroom.api import views

        for item in page.items:
            typer.echo(json.dumps(views.thread(item)))
        return
    if not page.items:
        typer.echo("No conversations yet.")
        return
    table = Table("thread", "last", "mails", "subject")
    for item in page.items:
        paused = " [yellow](paused)[/yellow]" if item.paused else ""
        table.add_row(
            item.id, f"{item.last_at:%Y-%m-%d %H:%M}", str(item.messages), _plain(item.subject) + paused
        )
    Console().print(table)


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="A thread (thr_…) or a message (msg_…).")],  # noqa: A002
    as_json: JsonOption = False,
) -> None:
    """Show a conversation or one message, and what became of it."""

    async def work(service: Service) -> tuple[Message, ...]:
        if id.startswith("msg_"):
            found = await service.store.things.message(id)
            return (found,) if found else ()
        return await service.store.answering.conversation(id)

    messages = _run(work)
    if not messages:
        raise NotFound("there is no such thread or message", code="not_found")
    if as_json:
        from postroom.api import views

        for message in messages:
            typer.echo(json.dumps(views.message(message)))
        return
    console = Console()
    for message in messages:
        _print_message(console, message)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _print_message(console: Console, message: Message) -> None:
    sender = message.sender
    who = f"{sender.name} <{sender.address}>" if sender else "unknown sender"
    state = message.state.value + (f" ({message.reason})" if message.reason else "")
    colour = {MessageState.ANSWERED: "green", MessageState.SENT: "blue", MessageState.DUE: "yellow"}.get(
        message.state, "magenta"
    )
    console.rule(f"{message.received_at:%Y-%m-%d %H:%M}  {_plain(who)}")
    console.print(f"[b]{_plain(message.subject)}[/b]  [{colour}]{state}[/{colour}]  [dim]{message.id}[/dim]")
    for item in message.attachments:
        console.print(f"[dim]attachment: {_plain(item.filename)}, {item.size} bytes[/dim]")
    console.print(message.new_text or message.text, markup=False, highlight=False)


@keys_app.command("create")
def keys_create(
    site: Annotated[
        str | None, typer.Option("--site", help="A key for this site only; else an admin key.")
    ] = None,
    label: Annotated[str, typer.Option("--label", help="To recognise it by.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make an API key; it is shown this once."""

    async def work(service: Service) -> Any:
        return await Keyring(service.store.keys, service.clock).create(label, site)

    made = _run(work)
    if as_json:
        typer.echo(json.dumps({"id": made.key.id, "site_id": made.key.site_id, "key": made.secret}))
    else:
        typer.echo(made.secret)
        typer.echo("Keep it: it is not shown again.", err=True)


@keys_app.command("list")
def keys_list(as_json: JsonOption = False) -> None:
    """List keys; never their secrets."""

    async def work(service: Service) -> Any:
        return await service.store.keys.list()

    found = _run(work)
    if as_json:
        from postroom.api import views

        for key in found:
            typer.echo(json.dumps(views.key(key)))
        return
    table = Table("key", "for", "label", "created", "last used", "state")
    for key in found:
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        state = "revoked" if key.revoked_at else "live"
        table.add_row(
            key.id, key.site_id or "admin", _plain(key.label), f"{key.created_at:%Y-%m-%d}", used, state
        )
    Console().print(table)


@keys_app.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(help="The key's id (key_…).")]) -> None:
    """Revoke a key at once."""

    async def work(service: Service) -> None:
        await Keyring(service.store.keys, service.clock).revoke(key_id)

    _run(work)
    typer.echo("revoked")


@secrets_app.command("rotate")
def secrets_rotate() -> None:
    """Bring every stored secret under the newest key of the ring, without downtime.

    Put the new key before the old one in POSTROOM_SECRET_KEY (or the key file), restart, rotate; then the old
    one may go.
    """

    async def work(service: Service) -> tuple[int, int]:
        from postroom.service import rotate_secrets

        return await rotate_secrets(service)

    changed, total = _run(work)
    typer.echo(f"{changed} of {total} secrets were re-wrapped; all are under the newest key now")


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from postroom.storage import migrate as run

    settings = _settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    asyncio.run(run(database_url(settings)))
    typer.echo("the database is up to date")


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up for playing, until Ctrl-C.")] = False,
) -> None:
    """Hold a whole conversation on this machine: a mail server, the service, a correspondent."""
    try:
        from postroom.demo import DemoFailed, run_demo
    except ImportError:
        _fail("the demo needs more libraries: pip install 'postroom[sandbox]'")
    console = Console()
    try:
        asyncio.run(run_demo(keep=keep, console=console))
    except DemoFailed as exc:
        _fail(str(exc))
    except KeyboardInterrupt:
        console.print("stopped")
