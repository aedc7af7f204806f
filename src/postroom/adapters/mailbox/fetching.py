"""Fetching messages: sizes first, then bodies in bounded groups, ascending, each message once.

The order is a promise: whoever moves a cursor past a UID must have been given all below it. So a message that
comes early waits for those before it, and nothing is given out past one that failed.
"""

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from postroom.adapters.mailbox.strikes import Shelf, Strikes, Way
from postroom.core.ports import FetchedMessage, MessageFacts, Steps
from postroom.imap.client import Client
from postroom.imap.errors import ImapLiteralTooLarge, ImapNoBody, ImapProtocolError
from postroom.imap.fetch import Fetched, FetchItem
from postroom.imap.uids import UidSet

AT_ONCE: Final = 500
"""UIDs in one command; with it the lines stay short on both sides."""

GROUP_BYTES: Final = 8 << 20
HEADER_CAP: Final = 1 << 20
HELD_BYTES: Final = 32 << 20
"""Bodies that wait for one which comes late; a server that sends more of them lied about their sizes."""

MOST_FACTS: Final = 10_000
"""Messages above a place of which the facts are taken at once; no server announces more."""

_FACTS: Final = (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.SIZE)


@dataclass(frozen=True, slots=True)
class Facts:
    """Flags, date and size of every message that there is with a UID in `span`."""

    span: range = range(0)
    by_uid: Mapping[int, Fetched] = field(default_factory=dict)

    def of(self, uids: Sequence[int]) -> list[Fetched] | None:
        """Those of some ascending UIDs; None when they were not all asked for."""
        if uids[0] not in self.span or uids[-1] not in self.span:
            return None
        return [self.by_uid[uid] for uid in uids if uid in self.by_uid]


@dataclass(frozen=True, slots=True)
class Group:
    """Messages that are asked for together; ascending."""

    way: Way
    facts: tuple[Fetched, ...]


class Fetching:
    """Fetches from the mailbox that is open in `client`. Raises as the client does."""

    def __init__(self, client: Client, shelf: Shelf, strikes: Strikes, steps: Steps) -> None:
        self._client = client
        self._shelf = shelf
        self._strikes = strikes
        self._steps = steps

    async def facts(self, uids: UidSet) -> list[Fetched]:
        """Flags, date and size of those messages that are there, ascending."""
        items = [*_FACTS, FetchItem.GMAIL_LABELS] if "X-GM-EXT-1" in self._client.capabilities else _FACTS
        async with aclosing(self._client.uid_fetch(uids, items)) as stream:
            found: list[Fetched] = []
            async for fetched in stream:
                found.append(fetched)
                if len(found) > MOST_FACTS:
                    raise ImapProtocolError
            return sorted(found, key=lambda fetched: fetched.uid)

    async def messages(
        self, ranges: Sequence[range], cap: int, known: Facts
    ) -> AsyncGenerator[FetchedMessage, None]:
        """See `core.ports.MailSession.fetch`. `known`: facts that were asked for a moment ago."""
        for uids in portions(ranges):
            facts = known.of(uids)
            if facts is None:
                facts = await self.facts(UidSet.of(uids))
            for group in self._groups(facts, cap):
                async with aclosing(self._group(group, cap)) as messages:
                    async for message in messages:
                        yield message

    def _groups(self, facts: Sequence[Fetched], cap: int) -> Iterator[Group]:
        together: list[Fetched] = []
        size = 0
        for fact in facts:
            way = self._way(fact, cap)
            fits = not together or size + (fact.size or 0) <= GROUP_BYTES
            if together and (way is not Way.TOGETHER or not fits):
                yield Group(Way.TOGETHER, tuple(together))
                together, size = [], 0
            if way is Way.TOGETHER:
                together.append(fact)
                size += fact.size or 0
            else:
                yield Group(way, (fact,))
        if together:
            yield Group(Way.TOGETHER, tuple(together))

    def _way(self, fact: Fetched, cap: int) -> Way:
        way = self._strikes.way(self._shelf, fact.uid)
        too_large = (fact.size or 0) > cap
        return Way.HEADERS if too_large and way in (Way.TOGETHER, Way.ALONE) else way

    async def _group(self, group: Group, cap: int) -> AsyncGenerator[FetchedMessage, None]:
        if group.way is Way.NOTHING:
            for fact in group.facts:
                yield _message(fact, None, b"")
            return
        headers = group.way is Way.HEADERS
        item, limit = (FetchItem.HEADER, HEADER_CAP) if headers else (FetchItem.BODY, cap)
        awaited = {fact.uid: fact for fact in group.facts}
        try:
            async with aclosing(self._in_order(awaited, item, limit)) as stream:
                async for fact, fetched in stream:
                    yield _message(fact, None if headers else fetched.body, fetched.header or b"")
                    self._strikes.forget(self._shelf, fact.uid)
        except (ImapNoBody, ImapProtocolError) as exc:
            self._blame(exc, list(awaited))
            raise
        self._steps.reached("imap:fetch")

    async def _in_order(
        self, awaited: dict[int, Fetched], item: FetchItem, limit: int
    ) -> AsyncGenerator[tuple[Fetched, Fetched], None]:
        """Facts and bytes, ascending, without those that vanished. What was given out leaves `awaited`.

        Raises ImapNoBody where the server left out a message that is there all the same.
        """
        order, early, held = deque(awaited), dict[int, Fetched](), 0
        items = (FetchItem.SIZE, item)
        async with aclosing(self._client.uid_fetch(UidSet.of(awaited), items, limit)) as stream:
            async for fetched in stream:
                early[fetched.uid] = fetched
                held += fetched.weight
                while order and order[0] in early:
                    uid = order.popleft()
                    held -= early[uid].weight
                    yield awaited.pop(uid), early.pop(uid)
                if held > HELD_BYTES:
                    raise ImapProtocolError
        left_out = await self._still_there([uid for uid in order if uid not in early])
        for uid in order:
            if uid in left_out:
                raise ImapNoBody(left_out)
            if uid in early:
                yield awaited.pop(uid), early[uid]

    async def _still_there(self, absent: Sequence[int]) -> tuple[int, ...]:
        """Those of the UIDs which did not vanish: silence about a message does not prove that it is gone."""
        facts = await self.facts(UidSet.of(absent)) if absent else ()
        return tuple(fact.uid for fact in facts if fact.uid in absent)

    def _blame(self, exc: ImapNoBody | ImapProtocolError, outstanding: Sequence[int]) -> None:
        """Remember which messages to ask for on their own next time."""
        if isinstance(exc, ImapNoBody):
            outstanding = [uid for uid in exc.uids if uid in outstanding]
        certain = isinstance(exc, ImapLiteralTooLarge) and len(outstanding) == 1
        for uid in outstanding:
            self._strikes.strike(self._shelf, uid, 3 if certain else 1)


def portions(ranges: Sequence[range]) -> Iterator[list[int]]:
    """The UIDs of the ranges, ascending, at most so many at a time."""
    uids = (uid for span in sorted(ranges, key=lambda span: span.start) for uid in span)
    while portion := list(islice(uids, AT_ONCE)):
        yield portion


def facts_of(fetched: Fetched) -> MessageFacts:
    """What is known of a message without its content."""
    return MessageFacts(fetched.uid, fetched.internaldate or datetime.now(UTC), fetched.size or 0)


def _message(fact: Fetched, body: bytes | None, headers: bytes) -> FetchedMessage:
    return FetchedMessage(
        uid=fact.uid,
        flags=fact.flags or frozenset(),
        # A server that does not tell when it got a message is not a reason to lose it.
        received_at=fact.internaldate or datetime.now(UTC),
        size=fact.size if fact.size is not None else len(body or b""),
        raw=body,
        headers=headers if body is None else b"",
        labels=fact.gmail_labels,
    )
