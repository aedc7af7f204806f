"""The command `postroom inspect`; what it needs is loaded when it runs, for a fast start of the others."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from postroom.inspect.reading import View

Paths = Annotated[
    list[str], typer.Argument(metavar="FILE|DIR…", help="Files, or folders of them; [b]-[/b] is stdin.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON line a mail, for programs.")]
Accounts = Annotated[
    list[str] | None,
    typer.Option("--account", metavar="ADDR", help="See it as this mailbox; again for each alias."),
]
AuthservIds = Annotated[
    list[str] | None,
    typer.Option(
        "--authserv-id",
        metavar="ID",
        help="Whose Authentication-Results to believe; else the account's provider, where it is known.",
    ),
]


def inspect(
    paths: Paths, as_json: Json = False, account: Accounts = None, authserv_id: AuthservIds = None
) -> None:
    """Show how mails are read, and why each would or would not be answered. Needs no server or database.

    Example: postroom inspect --account agent@example.com mail.eml
    """
    view = _view(account or (), authserv_id or ())
    try:
        if as_json:
            _print_records(paths, view)
        else:
            _print_explanations(paths, view)
    except BrokenPipeError:  # whoever read us has seen enough (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _view(accounts: Sequence[str], authserv_ids: Sequence[str]) -> "View":
    from postroom.inspect.reading import view_of
    from postroom.mail.address import AddressError, check_address

    try:
        addresses = [check_address(account, "--account").address for account in accounts]
    except AddressError as exc:
        raise typer.BadParameter(str(exc)) from exc
    return view_of(addresses, authserv_ids)


def _print_records(paths: Sequence[str], view: "View") -> None:
    from postroom.inspect.files import read_all
    from postroom.inspect.reading import read
    from postroom.inspect.record import failure, line, record

    for file in read_all(paths):
        document = failure(file) if file.error else record(file, read(file, view))
        sys.stdout.buffer.write(line(document))
    sys.stdout.buffer.flush()


def _print_explanations(paths: Sequence[str], view: "View") -> None:
    from rich.console import Console

    from postroom.inspect.explain import show, show_failure
    from postroom.inspect.files import read_all
    from postroom.inspect.reading import read
    from postroom.inspect.verdict import outcome_of

    console = Console(highlight=False)
    for file in read_all(paths):
        if file.error:
            show_failure(console, file)
        else:
            show(console, file, read(file, view), outcome_of(file, view, datetime.now(UTC)))
