"""Files messages into conversations: the writes that intake, answers and new mail have in common."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, case, insert, update

from postroom.core.model import Direction, Event, Message, MessageState, Place, Thread, TrustLevel
from postroom.mail.address import normalise
from postroom.mail.message import Address
from postroom.storage.dialect import Dialect
from postroom.storage.rows import event_values, message_values, thread_values
from postroom.storage.tables import attachments, contacts, events, messages, parties, places, threads

# Longer ones cannot be written to (RFC 5321 section 4.5.3.1) and would not fit an index.
_LONGEST_ADDRESS = 320

_ADD_THREAD = insert(threads).inline()
_ADD_MESSAGE = insert(messages).inline()
_ADD_ATTACHMENT = insert(attachments).inline()
_ADD_EVENT = insert(events).inline()
_AT = bindparam("b_at", type_=threads.c.last_at.type)
_GROW_THREAD = (
    update(threads)
    .where(threads.c.id == bindparam("b_thread"))
    .values(
        messages=threads.c.messages + 1,
        last_at=case(
            (threads.c.last_at < _AT, _AT),
            else_=threads.c.last_at,
        ),
    )
)


class Filing:
    """Statements that both databases spell in their own way, made once."""

    def __init__(self, dialect: Dialect) -> None:
        self._add_party = dialect.insert(parties).on_conflict_do_nothing()
        self._add_contact = dialect.insert(contacts).on_conflict_do_nothing()
        self._add_place = dialect.insert(places).on_conflict_do_nothing()

    def begin(self, connection: Connection, thread: Thread) -> None:
        """Store a conversation that has no message yet."""
        connection.execute(_ADD_THREAD, thread_values(thread))

    def add(self, connection: Connection, message: Message) -> None:
        """Store a message in its conversation."""
        connection.execute(_GROW_THREAD, {"b_thread": message.thread_id, "b_at": message.received_at})
        connection.execute(_ADD_MESSAGE, message_values(message))
        files = [{"id": item.id, "message_id": message.id} for item in message.attachments]
        if files:
            connection.execute(_ADD_ATTACHMENT, files)
        joined = [{"thread_id": message.thread_id, "address": address} for address in _parties(message)]
        if joined:
            connection.execute(self._add_party, joined)
        if message.direction is Direction.OUT:
            written_to = (address.address for address in (*message.to, *message.cc))
            self.add_contacts(connection, message.site_id, written_to)

    def add_contacts(self, connection: Connection, site_id: str, addresses: Iterable[str]) -> None:
        """Remember to whom the site wrote."""
        rows = [{"site_id": site_id, "address": address} for address in storable(addresses)]
        if rows:
            connection.execute(self._add_contact, rows)

    def add_place(self, connection: Connection, message: Message, place: Place) -> None:
        """Note where a copy lies; a place that is known stays as it is."""
        values = {"site_id": message.site_id, "message_id": message.id, "mailbox": place.mailbox}
        connection.execute(self._add_place, values | {"uidvalidity": place.uidvalidity, "uid": place.uid})


def add_events(connection: Connection, happened: Sequence[Event]) -> None:
    """Store events."""
    if happened:
        connection.execute(_ADD_EVENT, [event_values(event) for event in happened])


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
