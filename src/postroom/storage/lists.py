"""Lists under a site, newest first."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Column, Table, bindparam, func, select

from postroom.core.errors import invalid
from postroom.core.model import Direction, Event, Message, MessageState, Page, Source, Thread, TrustLevel
from postroom.core.submission import Submission, SubmissionKind, SubmissionStatus
from postroom.storage.database import Database
from postroom.storage.paging import Condition, Filter, Listing, equals, text_value
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
from postroom.storage.statements import Connection, Statement
from postroom.storage.tables import accounts, events, messages, submissions, threads
from postroom.storage.types import index_key

T = TypeVar("T")


class SqlLists:
    """`core.registry.Lists` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def threads(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Thread]:
        """`Lists.threads`. Filters: paused (whether, or the reason), thread_key, cites."""
        return await self._page(_THREADS, site_id, filters, cursor, limit)

    async def messages(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Message]:
        """`Lists.messages`, by arrival. Filters: state, reason, direction, source, trust, thread_id,
        message_id (the header, with or without angle brackets)."""
        return await self._page(_MESSAGES, site_id, filters, cursor, limit)

    async def submissions(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Submission]:
        """`Lists.submissions`. Filters: status, kind, thread_id, message_id (the header), answers."""
        return await self._page(_SUBMISSIONS, site_id, filters, cursor, limit)

    async def events(
        self, site_id: str, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[Event]:
        """`Lists.events`. Filters: type, thread_id, message_id (our key), submission_id, turn_id."""
        return await self._page(_EVENTS, site_id, filters, cursor, limit)

    async def counts(self) -> Mapping[str, int]:
        """`Lists.counts`."""
        return await self._database.read(_counts)

    async def _page(
        self,
        listing: Listing[T],
        site_id: str,
        filters: Mapping[str, Any],
        cursor: str | None,
        limit: int,
    ) -> Page[T]:
        if not filters.keys().isdisjoint(_SCOPES):
            raise invalid("/site_id", "is not a filter of this list")
        scope = _SCOPES[not filters.keys().isdisjoint(_TELLING)]
        own = {scope: site_id, **filters}
        return await self._database.read(lambda c: listing.page(c, own, cursor, limit))


# A list is a site's own. Where a filter alone tells few rows from many, the site is compared in a way that no
# index serves: SQLite cannot know that a conversation has fewer rows than a site.
_SCOPES = ("site_id", "in_site")
_TELLING = ("thread_id",)


def _in_site(table: Table) -> dict[str, Filter]:
    unindexed = table.c.site_id + ""

    def condition(value: Any) -> Condition:
        return Condition("in_site", unindexed == bindparam("f_site_id"), {"f_site_id": str(value)})

    return {"site_id": equals(table.c.site_id), "in_site": condition}


def _counts(connection: Connection) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, statement in _COUNTS.items():
        for value, count in connection.all(statement):
            found[f"{name}.{value}"] = count
    return found


def _one_of(column: Column[Any], kinds: type[StrEnum]) -> Filter:
    plain = equals(column)

    def condition(value: Any) -> Condition:
        if text_value(value, column.name) not in set(kinds):
            raise invalid(f"/{column.name}", f"must be one of {', '.join(kinds)}")
        return plain(str(value))

    return condition


def _message_id(table: Table) -> Filter:
    sql = (table.c.message_key == bindparam("f_key")) & (table.c.message_id == bindparam("f_message_id"))

    def condition(value: Any) -> Condition:
        wanted = text_value(value, "message_id").strip().removeprefix("<").removesuffix(">")
        return Condition("f_message_id", sql, {"f_key": index_key(wanted), "f_message_id": wanted})

    return condition


def _paused(value: Any) -> Condition:
    said = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    if isinstance(said, bool):
        sql = threads.c.paused != "" if said else threads.c.paused == ""
        return Condition(f"paused {said}", sql, {})
    return equals(threads.c.paused)(value)


_COUNTS = {
    column.table.name: Statement(select(column, func.count()).group_by(column))
    for column in (messages.c.state, submissions.c.status, accounts.c.state)
}
_THREADS = Listing(
    select_threads(),
    (threads.c.last_at, threads.c.id),
    (int, str),
    thread_of,
    {
        **_in_site(threads),
        "paused": _paused,
        "thread_key": equals(threads.c.thread_key),
        "cites": equals(threads.c.cites),
    },
)
_MESSAGES = Listing(
    select_messages(),
    (messages.c.seq,),
    (int,),
    message_of,
    {
        **_in_site(messages),
        "state": _one_of(messages.c.state, MessageState),
        "reason": equals(messages.c.reason),
        "direction": _one_of(messages.c.direction, Direction),
        "source": _one_of(messages.c.source, Source),
        "trust": _one_of(messages.c.trust, TrustLevel),
        "thread_id": equals(messages.c.thread_id),
        "message_id": _message_id(messages),
    },
)
_SUBMISSIONS = Listing(
    select_submissions(),
    (submissions.c.created_at, submissions.c.id),
    (int, str),
    submission_of,
    {
        **_in_site(submissions),
        "status": _one_of(submissions.c.status, SubmissionStatus),
        "kind": _one_of(submissions.c.kind, SubmissionKind),
        "thread_id": equals(submissions.c.thread_id),
        "message_id": _message_id(submissions),
        "answers": equals(submissions.c.answers),
    },
)
_EVENTS = Listing(
    select_events(),
    (events.c.at, events.c.id),
    (int, str),
    event_of,
    _in_site(events)
    | {
        name: equals(events.c[name])
        for name in ("type", "thread_id", "message_id", "submission_id", "turn_id")
    },
)
