"""Opens the service for one command."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from postroom.core.errors import NotFound

if TYPE_CHECKING:
    from postroom.config import Settings
    from postroom.service import Service

T = TypeVar("T")
Work = Callable[["Service"], Awaitable[T]]

SiteOption = Annotated[str, typer.Option("--site", help="The site; the environment's own is [b]default[/b].")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, as the REST API gives it.")]


def environment() -> "Settings":
    """The settings of this process. Raises `ConfigError`."""
    from postroom.config import load

    return load(os.environ, Path.cwd())


def with_stored(work: Work[T]) -> T:
    """Do something with a service that has stored something before. Raises `NotFound` when none has."""
    from postroom.datadir import database_file

    file = database_file(environment())
    if file is not None and not file.exists():
        raise NotFound(
            f"there is no database at {file}",
            hint="Start `postroom serve` first, or set POSTROOM_DATA_DIR to where it runs.",
        )
    return with_opened(work)


def with_opened(work: Work[T]) -> T:
    """Do something with the service's rows; they are made if need be."""
    from postroom.service import opened

    async def working() -> T:
        async with opened(environment()) as service:
            _tell_of_key_file(service)
            return await work(service)

    return asyncio.run(working())


def with_visit(work: Work[T]) -> T:
    """Do something that sends; what was begun is finished before this returns."""
    from postroom.service import visiting

    async def working() -> T:
        async with visiting(environment()) as service:
            _tell_of_key_file(service)
            return await work(service)

    return asyncio.run(working())


def _tell_of_key_file(service: "Service") -> None:
    if service.made_key_file is not None:
        file = service.made_key_file.absolute()
        typer.echo(f"Made the key file {file}; keep a copy: stored passwords open with it alone.", err=True)
