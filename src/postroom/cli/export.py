"""The command that gives a site's mail and records away: mbox and JSON lines."""

import json
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from postroom.cli.desk import SiteArgument
from postroom.cli.output import print_json
from postroom.cli.running import JsonOption, with_stored
from postroom.core.errors import Conflict

if TYPE_CHECKING:
    from postroom.core.model import Page
    from postroom.service import Service

T = TypeVar("T")
Json = dict[str, Any]
Turn = Callable[[str, str | None, int], Awaitable["Page[T]"]]
Step = Callable[[str], None]

PAGE = 200

Target = Annotated[
    Path | None, typer.Option("--to", help="The directory to make; left out, SITE-export.", file_okay=False)
]


def export(site: SiteArgument = "default", to: Target = None, as_json: JsonOption = False) -> None:
    """Write everything of a site into a new directory: mbox, and JSON lines without secrets.

    The directory is there whole, or not at all; one that is there is not touched.

    \b
    postroom export default
    postroom export acme --to backups/acme
    """
    target = (to or Path(f"{site}-export")).absolute()

    async def work(service: "Service") -> dict[str, int]:
        await service.accounts.get(site)
        with made_whole(target) as folder:
            return await _write(service, site, folder)

    counts = with_stored(work)
    if as_json:
        print_json({"directory": str(target), **counts})
        return
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if name != "without_bytes")
    typer.echo(f"{target}: {told}.")
    if counts["without_bytes"]:
        typer.echo(f"The bytes of {counts['without_bytes']} messages are not in the blob store.", err=True)


@contextmanager
def made_whole(target: Path) -> Iterator[Path]:
    """A new directory to write into, which becomes `target` at the end of the block, or is removed. Raises
    `Conflict` when `target` is there."""
    if target.exists() or target.is_symlink():
        raise Conflict(f"{target} is there already", hint="Give the name of a directory to be made.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.mkdir(mode=0o700)
    try:
        yield draft
        for path in (*draft.iterdir(), draft):
            sync(path)
        if target.exists():
            raise Conflict(f"{target} was made by another meanwhile")
        draft.rename(target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def sync(path: Path) -> None:
    """Wait until a file or directory is on its disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def _write(service: "Service", site_id: str, folder: Path) -> dict[str, int]:
    from postroom.api import views

    archive = service.store.archive
    site = await service.accounts.get(site_id)
    with (folder / "site.json").open("x", encoding="utf-8") as file:
        json.dump({**views.site(site, None), "settings": site.settings.document()}, file)
    with _progress() as step:
        return {
            "threads": await _lines(archive.threads, site_id, folder / "threads.jsonl", views.thread, step),
            "submissions": await _lines(
                archive.submissions, site_id, folder / "submissions.jsonl", views.submission, step
            ),
            "events": await _lines(archive.events, site_id, folder / "events.jsonl", views.event, step),
            **await _mail(service, site_id, folder, step),
        }


async def _lines(turn: "Turn[T]", site_id: str, path: Path, view: Callable[[T], Json], step: Step) -> int:
    """Write a line a thing; how many there were."""
    count = 0
    with path.open("x", encoding="utf-8") as file:
        async for item in _all(turn, site_id):
            file.write(json.dumps(view(item)) + "\n")
            count += 1
            step(path.stem)
    return count


async def _mail(service: "Service", site_id: str, folder: Path, step: Step) -> dict[str, int]:
    """Write a line and the bytes of every message; how many there were, and how many lack bytes."""
    from postroom.api import views
    from postroom.core.errors import PostroomError
    from postroom.mail import mbox

    count = without = 0
    lines, mail = folder / "messages.jsonl", folder / "mail.mbox"
    with lines.open("x", encoding="utf-8") as file, mail.open("xb") as box:
        async for message in _all(service.store.archive.messages, site_id):
            file.write(json.dumps({**views.message(message), "sha256": message.raw}) + "\n")
            count += 1
            step("messages")
            try:
                raw = await service.blobs.get(message.raw)
            except PostroomError as exc:
                if exc.temporary:
                    raise
                without += 1
                continue
            sender = message.sender.address if message.sender else ""
            box.write(mbox.entry(raw, sender, message.received_at))
    return {"messages": count, "without_bytes": without}


async def _all(turn: "Turn[T]", site_id: str) -> AsyncIterator[T]:
    cursor: str | None = None
    while True:
        page = await turn(site_id, cursor, PAGE)
        for item in page.items:
            yield item
        cursor = page.next
        if cursor is None:
            return


@contextmanager
def _progress() -> Iterator[Step]:
    """Tells on a terminal how far it is; the step is called with what was just written."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    counts: Counter[str] = Counter()
    screen = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task("…", total=None)

        def step(kind: str) -> None:
            counts[kind] += 1
            if counts[kind] % 100 == 1:
                told = ", ".join(f"{count} {name}" for name, count in counts.items())
                bar.update(task, description=told)

        yield step


COMMANDS = (export,)
