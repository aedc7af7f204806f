"""Files messages into conversations: the writes that intake, answers and new mail have in common."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, insert, literal, update

from postroom.core.model import Event, Message, MessageState, Place, Thread, TrustLevel
from postroom.mail.address import normalise
from postroom.mail.message import Address
from postroom.storage.dialect import Dialect
from postroom.storage.rows import THREAD_VALUES, event_values, message_values, thread_values
from postroom.storage.statements import Connection, Statement, columns_of, given
from postroom.storage.tables import attachments, contacts, events, messages, parties, places, threads

# Longer ones cannot be written to (RFC 5321 section 4.5.3.1) and would not fit an index.
_LONGEST_ADDRESS = 320
_LIGHT = 64 * 1024

_ADD_THREAD = Statement(insert(threads).inline().values(given(*THREAD_VALUES)))
_ADD_MESSAGE = Statement(insert(messages).inline().values(given(*columns_of(messages))))
_ADD_ATTACHMENT = Statement(insert(attachments).inline().values(given("id", "message_id")))
_ADD_EVENT = Statement(insert(events).inline().values(given(*columns_of(events))))


def grown(by: ColumnElement[int], at: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """The columns of a conversation that so many messages joined at that time."""
    last_at = case((threads.c.last_at < at, at), else_=threads.c.last_at)
    return {"messages": threads.c.messages + by, "last_at": last_at}


_GROW_THREAD = Statement(
    update(threads)
    .where(threads.c.id == bindparam("b_thread"))
    .values(grown(literal(1), bindparam("b_at", type_=threads.c.last_at.type)))
)


class Filing:
    """Statements that both databases spell in their own way, made once."""

    def __init__(self, dialect: Dialect) -> None:
        self._add_party, self._add_contact, self._add_place = (
            Statement(dialect.insert(table).values(given(*columns_of(table))).on_conflict_do_nothing())
            for table in (parties, contacts, places)
        )

    def begin(self, connection: Connection, thread: Thread, first: Message) -> None:
        """Store a conversation with its first message."""
        last_at = max(thread.last_at, first.received_at)
        connection.run(_ADD_THREAD, thread_values(thread) | {"messages": 1, "last_at": last_at})
        self.add_alone(connection, first)

    def add(self, connection: Connection, message: Message) -> None:
        """Store a message in its conversation, which grows by it."""
        connection.run(_GROW_THREAD, {"b_thread": message.thread_id, "b_at": message.received_at})
        self.add_alone(connection, message)

    def add_alone(self, connection: Connection, message: Message) -> None:
        """Store a message whose conversation grew already."""
        connection.run(_ADD_MESSAGE, message_values(message))
        files = [{"id": item.id, "message_id": message.id} for item in message.attachments]
        if files:
            connection.run_many(_ADD_ATTACHMENT, files)
        joined = [{"thread_id": message.thread_id, "address": address} for address in _parties(message)]
        if joined:
            connection.run_many(self._add_party, joined)

    def add_contacts(self, connection: Connection, site_id: str, addresses: Sequence[str]) -> int:
        """Remember to whom the site wrote (as from `storable`); how many of them are new."""
        return sum(
            connection.count(self._add_contact, {"site_id": site_id, "address": address})
            for address in addresses
        )

    def add_place(self, connection: Connection, message: Message, place: Place) -> None:
        """Note where a copy lies; a place that is known stays as it is."""
        values = {"site_id": message.site_id, "message_id": message.id, "mailbox": place.mailbox}
        connection.run(self._add_place, values | {"uidvalidity": place.uidvalidity, "uid": place.uid})


def weight(message: Message) -> int:
    """How many characters its texts have."""
    return len(message.text) + len(message.new_text) + len(message.html or "")


def light(message: Message) -> bool:
    """Whether it is written in a moment."""
    return weight(message) <= _LIGHT


def add_events(connection: Connection, happened: Sequence[Event]) -> None:
    """Store events."""
    if happened:
        connection.run_many(_ADD_EVENT, [event_values(event) for event in happened])


def storable(addresses: Iterable[str]) -> list[str]:
    """Normalised, each once, and sorted, so that two transactions never wait for each other."""
    normalised = {normalise(address) for address in addresses}
    return sorted(a for a in normalised if "@" in a and len(a) <= _LONGEST_ADDRESS)


def _parties(message: Message) -> list[str]:
    # Nobody joins a conversation by being named in a forged mail (D3, D5).
    if message.trust is TrustLevel.FAILED or message.state is MessageState.QUARANTINED:
        return []
    named: tuple[Address, ...] = (*message.to, *message.cc)
    if message.sender is not None:
        named = (message.sender, *named)
    return storable(address.address for address in named)
