"""The commands together, and how their faults are told: one line, and an exit code."""

import io
import sys
from typing import Annotated, NoReturn

import typer

from postroom import __version__
from postroom.cli import accounts, backfill, backup, desk, export, keys, mail, move, serving, workers
from postroom.core.errors import PostroomError
from postroom.inspect.command import inspect

FAULT_EXIT = 1
USAGE_EXIT = 2
INTERRUPTED_EXIT = 130

app = typer.Typer(
    help="Gives an AI agent a mailbox: any existing one, over IMAP and SMTP.",
    epilog="Settings come from the environment and from the file .env: docs/reference/environment.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (
    *serving.COMMANDS,
    *mail.COMMANDS,
    *desk.COMMANDS,
    *export.COMMANDS,
    *backup.COMMANDS,
    *backfill.COMMANDS,
    *move.COMMANDS,
    *workers.COMMANDS,
    *accounts.COMMANDS,
    inspect,
):
    app.command()(command)
app.add_typer(keys.keys_app, name="keys")
app.add_typer(keys.secrets_app, name="secrets")


def main() -> NoReturn:
    """Run the command line: exit code 0, 1 for a fault, 2 for wrong usage or settings."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        return app(prog_name="postroom", standalone_mode=False) or 0
    except PostroomError as exc:
        typer.echo(f"{exc.text}. {exc.hint}" if exc.hint else exc.text, err=True)
        return USAGE_EXIT if exc.code == "bad_configuration" else FAULT_EXIT
    except typer.TyperException as exc:
        _tell_of_usage(exc)
        return USAGE_EXIT
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED_EXIT


def _tell_of_usage(error: typer.TyperException) -> None:
    text = error.format_message()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "postroom"
    if text:  # none when the help was shown instead
        typer.echo(f"{text}{'' if text[-1] in '.?' else '.'} See `{command} --help`.", err=True)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
