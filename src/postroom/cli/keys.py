"""Commands about keys: those of the API, and those that secrets at rest are encrypted with."""

from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli.output import console, line, print_json, table
from postroom.cli.running import JsonOption, with_opened, with_stored

if TYPE_CHECKING:
    from postroom.core.model import ApiKey
    from postroom.engine.keys import NewKey
    from postroom.service import Service

keys_app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
secrets_app = typer.Typer(help="Look after the secrets at rest.", no_args_is_help=True)


@keys_app.command("create")
def create(
    site: Annotated[
        str | None, typer.Option("--site", help="A key for this site alone; left out, an admin key.")
    ] = None,
    label: Annotated[str, typer.Option("--label", help="To recognise it by.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make an API key. It is shown this once and kept as a hash.

    \b
    postroom keys create --label laptop
    postroom keys create --site acme --json
    """

    async def work(service: "Service") -> "NewKey":
        from postroom.engine.keys import Keyring

        return await Keyring(service.store.keys, service.clock).create(label, site)

    made = with_opened(work)
    if as_json:
        from postroom.api import views

        print_json({**views.key(made.key), "key": made.secret})
    else:
        typer.echo(made.secret)
        typer.echo("Keep it: it is not shown again.", err=True)


@keys_app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List keys; never their secrets.

    \b
    postroom keys list
    """

    async def work(service: "Service") -> "tuple[ApiKey, ...]":
        return await service.store.keys.list()

    found = with_stored(work)
    if as_json:
        from postroom.api import views

        print_json({"items": [views.key(key) for key in found], "next": None})
    elif found:
        _print_keys(found)
    else:
        typer.echo("No keys yet: `postroom keys create` makes one.")


def _print_keys(keys: "tuple[ApiKey, ...]") -> None:
    from rich.text import Text

    rows = table("key", "for", "created", "last used", "state", "label")
    for key in keys:
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        state = Text("revoked", "dim") if key.revoked_at else Text("live", "green")
        created = f"{key.created_at:%Y-%m-%d}"
        rows.add_row(key.id, key.site_id or "everything", created, used, state, Text(line(key.label)))
    console().print(rows)


@keys_app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id (key_…).")],
    as_json: JsonOption = False,
) -> None:
    """Revoke a key at once.

    \b
    postroom keys revoke key_01m7y467e7fgwv70vr1rasy0gn
    """

    async def work(service: "Service") -> None:
        from postroom.engine.keys import Keyring

        await Keyring(service.store.keys, service.clock).revoke(key_id)

    with_stored(work)
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        typer.echo("Revoked.")


@secrets_app.command("rotate")
def rotate(as_json: JsonOption = False) -> None:
    """Bring every stored secret under the newest key, while the service runs.

    Put the new key before the old one, with a comma between them,
    in POSTROOM_SECRET_KEY or in the file secret-key of the data directory.
    Restart the service and rotate; then the old key may go.

    \b
    POSTROOM_SECRET_KEY=NEW,OLD postroom secrets rotate
    """

    async def work(service: "Service") -> tuple[int, int]:
        from postroom.secrets_at_rest import rotate_secrets

        return await rotate_secrets(service.store, service.vault)

    changed, total = with_stored(work)
    if as_json:
        print_json({"rewrapped": changed, "secrets": total})
    else:
        typer.echo(f"{changed} of {total} secrets were re-wrapped; all are under the newest key now.")


# Typer finds single commands only below an app with a callback.
@secrets_app.callback()
def _secrets() -> None:
    pass
