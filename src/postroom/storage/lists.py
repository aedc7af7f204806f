"""Lists under a site, newest first."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Table, func, select

from postroom.core.errors import invalid
from postroom.core.model import Direction, Event, Message, MessageState, Page, Source, Thread, TrustLevel
from postroom.core.submission import Submission, SubmissionKind, SubmissionStatus
from postroom.storage.database import Database
from postroom.storage.paging import Filter, Listing
from postroom.storage.rows import (
    event_of,
    message_of,
    select_events,
    select_messages,
    select_submissions,
    select_threads,
    submission_of,
    thread_of,
)
from postroom.storage.tables import accounts, events, messages, submissions, threads
from postroom.storage.types import clean, index_key

T = TypeVar("T")


class SqlLists:
    """`core.registry.Lists` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def threads(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Thread]:
        """`Lists.threads`. Filters: paused (whether, or the reason), thread_key, cites."""
        return await self._page(_THREADS, threads, site_id, filters, cursor, limit)

    async def messages(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Message]:
        """`Lists.messages`, by arrival. Filters: state, reason, direction, source, trust, thread_id,
        message_id (the header, with or without angle brackets)."""
        return await self._page(_MESSAGES, messages, site_id, filters, cursor, limit)

    async def submissions(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Submission]:
        """`Lists.submissions`. Filters: status, kind, thread_id, message_id (the header), answers."""
        return await self._page(_SUBMISSIONS, submissions, site_id, filters, cursor, limit)

    async def events(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Event]:
        """`Lists.events`. Filters: type, thread_id, message_id (our key), submission_id, turn_id."""
        return await self._page(_EVENTS, events, site_id, filters, cursor, limit)

    async def counts(self) -> Mapping[str, int]:
        """`Lists.counts`."""
        return await self._database.read(_counts)

    async def _page(
        self,
        listing: Listing[T],
        table: Table,
        site_id: str,
        filters: Mapping[str, Any],
        cursor: str | None,
        limit: int,
    ) -> Page[T]:
        scope = (table.c.site_id == site_id,)
        return await self._database.read(lambda c: listing.page(c, scope, filters, cursor, limit))


def _counts(connection: Connection) -> dict[str, int]:
    found: dict[str, int] = {}
    for column in (messages.c.state, submissions.c.status, accounts.c.state):
        for value, count in connection.execute(select(column, func.count()).group_by(column)):
            found[f"{column.table.name}.{value}"] = count
    return found


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"/{name}", "must be a text")
    return clean(value)


def _equals(column: Column[Any]) -> Filter:
    return lambda value: column == _text(value, column.name)


def _one_of(column: Column[Any], kinds: type[StrEnum]) -> Filter:
    def condition(value: Any) -> ColumnElement[bool]:
        if _text(value, column.name) not in set(kinds):
            raise invalid(f"/{column.name}", f"must be one of {', '.join(kinds)}")
        return column == str(value)

    return condition


def _message_id(table: Table) -> Filter:
    def condition(value: Any) -> ColumnElement[bool]:
        wanted = _text(value, "message_id").strip().removeprefix("<").removesuffix(">")
        return (table.c.message_key == index_key(wanted)) & (table.c.message_id == wanted)

    return condition


def _paused(value: Any) -> ColumnElement[bool]:
    said = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    if isinstance(said, bool):
        return threads.c.paused != "" if said else threads.c.paused == ""
    return threads.c.paused == _text(value, "paused")


_THREADS = Listing(
    select_threads(),
    (threads.c.last_at, threads.c.id),
    (int, str),
    thread_of,
    {
        "paused": _paused,
        "thread_key": _equals(threads.c.thread_key),
        "cites": _equals(threads.c.cites),
    },
)
_MESSAGES = Listing(
    select_messages(),
    (messages.c.seq,),
    (int,),
    message_of,
    {
        "state": _one_of(messages.c.state, MessageState),
        "reason": _equals(messages.c.reason),
        "direction": _one_of(messages.c.direction, Direction),
        "source": _one_of(messages.c.source, Source),
        "trust": _one_of(messages.c.trust, TrustLevel),
        "thread_id": _equals(messages.c.thread_id),
        "message_id": _message_id(messages),
    },
)
_SUBMISSIONS = Listing(
    select_submissions(),
    (submissions.c.created_at, submissions.c.id),
    (int, str),
    submission_of,
    {
        "status": _one_of(submissions.c.status, SubmissionStatus),
        "kind": _one_of(submissions.c.kind, SubmissionKind),
        "thread_id": _equals(submissions.c.thread_id),
        "message_id": _message_id(submissions),
        "answers": _equals(submissions.c.answers),
    },
)
_EVENTS = Listing(
    select_events(),
    (events.c.at, events.c.id),
    (int, str),
    event_of,
    {
        name: _equals(events.c[name])
        for name in ("type", "thread_id", "message_id", "submission_id", "turn_id")
    },
)
