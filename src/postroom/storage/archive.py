"""Everything of a site in pages, oldest first."""

from typing import TypeVar

from sqlalchemy import Table

from postroom.core.model import Event, Message, Page, Thread
from postroom.core.submission import Submission
from postroom.storage.database import Database
from postroom.storage.paging import Filter, Listing, equals
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
from postroom.storage.tables import events, messages, submissions, threads

T = TypeVar("T")


class SqlArchive:
    """`core.registry.Archive` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def threads(self, site_id: str, cursor: str | None, limit: int) -> Page[Thread]:
        """`Archive.threads`."""
        return await self._page(_THREADS, site_id, cursor, limit)

    async def messages(self, site_id: str, cursor: str | None, limit: int) -> Page[Message]:
        """`Archive.messages`."""
        return await self._page(_MESSAGES, site_id, cursor, limit)

    async def submissions(self, site_id: str, cursor: str | None, limit: int) -> Page[Submission]:
        """`Archive.submissions`."""
        return await self._page(_SUBMISSIONS, site_id, cursor, limit)

    async def events(self, site_id: str, cursor: str | None, limit: int) -> Page[Event]:
        """`Archive.events`."""
        return await self._page(_EVENTS, site_id, cursor, limit)

    async def _page(self, listing: Listing[T], site_id: str, cursor: str | None, limit: int) -> Page[T]:
        return await self._database.read(lambda c: listing.page(c, {"site_id": site_id}, cursor, limit))


def _of_site(table: Table) -> dict[str, Filter]:
    return {"site_id": equals(table.c.site_id)}


_THREADS = Listing(
    select_threads(),
    (threads.c.last_at, threads.c.id),
    (int, str),
    thread_of,
    _of_site(threads),
    descending=False,
)
_MESSAGES = Listing(
    select_messages(), (messages.c.seq,), (int,), message_of, _of_site(messages), descending=False
)
_SUBMISSIONS = Listing(
    select_submissions(),
    (submissions.c.created_at, submissions.c.id),
    (int, str),
    submission_of,
    _of_site(submissions),
    descending=False,
)
_EVENTS = Listing(
    select_events(),
    (events.c.at, events.c.id),
    (int, str),
    event_of,
    _of_site(events),
    descending=False,
)
