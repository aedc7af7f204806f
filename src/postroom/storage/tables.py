"""The tables. Migrations create them; a test holds the two against each other.

Keys named `id` are ours and sort by time. `lease_*` are the columns of a claim: who holds the row, until
when, and a token that grows with each claim. Every row of a site points at it, so that nothing can be
written for a site that is gone.

On SQLite a commit writes every page that it touched, so there is one tree a table where that serves
(`sqlite_with_rowid=False`: the primary key is the table), and an index only where a question needs it. A
column at the end of an index that does not order anything (`state`, `status`) lets lists and counts by it
stay inside the index, and its change touch one page.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnClause,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    literal_column,
)

from postroom.storage.types import Json, Key, Moment, Serial, Words

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _site() -> Column[str]:
    return Column("site_id", Key, ForeignKey("sites.id"), nullable=False)


def _lease() -> tuple[Column[Any], ...]:
    return (
        Column("lease_owner", Key),
        Column("lease_until", Moment),
        Column("lease_token", BigInteger, nullable=False, server_default="0"),
    )


def _partial(name: str, where: str, *columns: Any) -> Index:
    # The condition stands as a literal here and in the queries: SQLite only then sees that they agree.
    condition: ColumnClause[bool] = literal_column(where)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


sites = Table(
    "sites",
    metadata,
    Column("id", Key, primary_key=True),
    Column("document", Json, nullable=False),
    Column("environment", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("account_since", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    # Mail that the server received before this moment was handled and may have been forgotten (retention).
    Column("forgotten_before", Moment),
    sqlite_with_rowid=False,
)

addresses = Table(
    "addresses",
    metadata,
    Column("address", Words, primary_key=True),
    _site(),
    Index("ix_addresses_site_id", "site_id"),
    sqlite_with_rowid=False,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Key, primary_key=True),
    _site(),
    Column("token_type", Words, nullable=False),
    Column("identifier", Words, nullable=False),
    Column("sealed", Key, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("site_id", "token_type", "identifier"),
    sqlite_with_rowid=False,
)

facts = Table(
    "facts",
    metadata,
    Column("name", Key, primary_key=True),
    Column("value", Key, nullable=False),
    sqlite_with_rowid=False,
)

keys = Table(
    "keys",
    metadata,
    Column("id", Key, primary_key=True),
    Column("key_hash", Key, nullable=False),
    Column("label", Words, nullable=False),
    Column("site_id", Key, ForeignKey("sites.id")),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    UniqueConstraint("key_hash"),
    Index("ix_keys_site_id", "site_id"),
    sqlite_with_rowid=False,
)

accounts = Table(
    "accounts",
    metadata,
    Column("site_id", Key, ForeignKey("sites.id"), primary_key=True),
    Column("state", Key, nullable=False),
    Column("since", Moment, nullable=False),
    Column("last_sync_at", Moment),
    Column("next_try_at", Moment),
    Column("error_code", Key, nullable=False),
    Column("error_text", Words, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    sqlite_with_rowid=False,
)

cursors = Table(
    "cursors",
    metadata,
    _site(),
    Column("mailbox", Words, nullable=False),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("next_uid", BigInteger, nullable=False),
    Column("silent_below", BigInteger, nullable=False),
    Column("silent_before", Moment),
    Column("resets", Integer, nullable=False),
    Column("reset_at", Moment),
    Column("updated_at", Moment),
    # UIDs below it may have been taken and forgotten (retention).
    Column("forgotten_below", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("site_id", "mailbox"),
    sqlite_with_rowid=False,
)

threads = Table(
    "threads",
    metadata,
    Column("id", Key, primary_key=True),
    _site(),
    Column("thread_key", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("cites", Key),
    Column("paused", Key, nullable=False),
    *_lease(),
    Column("lease_message", Key),
    Index("ix_threads_site_id_last_at", "site_id", "last_at", "id"),
    sqlite_with_rowid=False,
)

# `seq` is the order of arrival. The long columns come last: SQLite then reads the others without them.
messages = Table(
    "messages",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Key, nullable=False),
    _site(),
    Column("thread_id", Key, ForeignKey("threads.id"), nullable=False),
    Column("direction", Key, nullable=False),
    Column("source", Key, nullable=False),
    Column("state", Key, nullable=False),
    Column("reason", Key, nullable=False),
    Column("due_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("answered_by", Key),
    Column("trust", Key, nullable=False),
    Column("automatic", Words, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("date", Moment),
    Column("size", BigInteger, nullable=False),
    Column("raw", Key, nullable=False),
    Column("content_key", Key, nullable=False),
    Column("message_key", Key, nullable=False),
    Column("message_id", Words, nullable=False),
    Column("in_reply_to", Json, nullable=False),
    Column("references", Json, nullable=False),
    Column("sender", Json),
    Column("reply_to", Json, nullable=False),
    Column("to", Json, nullable=False),
    Column("cc", Json, nullable=False),
    Column("delivered_to", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("attachments", Json, nullable=False),
    Column("notes", Json, nullable=False),
    Column("new_text", Words, nullable=False),
    Column("text", Words, nullable=False),
    Column("html", Words),
    UniqueConstraint("id"),
    Index("ix_messages_thread_id_seq", "thread_id", "seq"),
    Index("ix_messages_site_id_seq", "site_id", "seq", "state"),
    Index("ix_messages_raw", "raw"),
    Index("ix_messages_site_id_message_key", "site_id", "message_key"),
    _partial("ix_messages_without_id", "message_key = ''", "site_id", "content_key"),
    _partial("ix_messages_due", "state = 'due'", "due_at"),
    _partial("ix_messages_due_thread", "state = 'due'", "thread_id", "seq"),
    sqlite_autoincrement=True,
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", Key, primary_key=True),
    Column("message_id", Key, ForeignKey("messages.id"), nullable=False),
    Index("ix_attachments_message_id", "message_id"),
    sqlite_with_rowid=False,
)

places = Table(
    "places",
    metadata,
    _site(),
    Column("mailbox", Words, nullable=False),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("message_id", Key, ForeignKey("messages.id"), nullable=False),
    PrimaryKeyConstraint("site_id", "mailbox", "uidvalidity", "uid"),
    Index("ix_places_message_id", "message_id"),
    sqlite_with_rowid=False,
)

# Who takes part in a conversation (D3), normalised; the account's own addresses are left out on reading.
parties = Table(
    "parties",
    metadata,
    Column("thread_id", Key, ForeignKey("threads.id"), nullable=False),
    Column("address", Words, nullable=False),
    PrimaryKeyConstraint("thread_id", "address"),
    sqlite_with_rowid=False,
)

# To whom a site ever wrote, normalised.
contacts = Table(
    "contacts",
    metadata,
    _site(),
    Column("address", Words, nullable=False),
    PrimaryKeyConstraint("site_id", "address"),
    sqlite_with_rowid=False,
)

turns = Table(
    "turns",
    metadata,
    Column("id", Key, primary_key=True),
    _site(),
    Column("thread_id", Key, nullable=False),
    Column("message_id", Key, nullable=False),
    Column("agent", Words, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("outcome", Key, nullable=False),
    Column("reason", Words, nullable=False),
    Column("token_hash", Key, nullable=False),
    Column("waits_until", Moment),
    Index("ix_turns_site_id_started_at", "site_id", "started_at"),
    sqlite_with_rowid=False,
)

submissions = Table(
    "submissions",
    metadata,
    Column("id", Key, primary_key=True),
    _site(),
    Column("thread_id", Key, ForeignKey("threads.id"), nullable=False),
    Column("kind", Key, nullable=False),
    Column("message_key", Key, nullable=False),
    Column("message_id", Words, nullable=False),
    Column("answers", Key),
    Column("new_sender", Boolean, nullable=False),
    Column("sender", Words, nullable=False),
    Column("recipients", Json, nullable=False),
    Column("subject", Words, nullable=False),
    Column("raw", Key, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("smtputf8", Boolean, nullable=False),
    Column("status", Key, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("due_at", Moment),
    Column("first_try_at", Moment),
    Column("finished_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("reason", Key, nullable=False),
    Column("aftercare", Key, nullable=False),
    *_lease(),
    Index("ix_submissions_site_id_created_at", "site_id", "created_at", "id", "status"),
    Index("ix_submissions_site_id_message_key", "site_id", "message_key", "created_at", "id"),
    Index("ix_submissions_thread_id_created_at", "thread_id", "created_at"),
    _partial("ix_submissions_queued", "status = 'queued'", "due_at"),
    _partial("ix_submissions_transmitting", "status = 'transmitting'", "created_at"),
    _partial("ix_submissions_unknown", "status = 'unknown'", "site_id", "created_at"),
    _partial("ix_submissions_aftercare", "aftercare = 'due'", "site_id", "created_at", "id"),
    # With its own condition as a column, SQLite counts inside the index.
    _partial("ix_submissions_new_sender", "new_sender", "site_id", "created_at", "status", "new_sender"),
    sqlite_with_rowid=False,
)

# Whom an answer went to, normalised: the recipient, and the sender when a Reply-To named another.
answered = Table(
    "answered",
    metadata,
    _site(),
    Column("address", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("submission_id", Key, nullable=False),
    PrimaryKeyConstraint("site_id", "address", "created_at", "submission_id"),
    sqlite_with_rowid=False,
)

# Message-IDs that mail in Sent answers, whether we have seen those messages or not: whichever comes later was
# answered by a person (D1).
replied = Table(
    "replied",
    metadata,
    _site(),
    Column("message_key", Key, nullable=False),
    Column("at", Moment, nullable=False),
    PrimaryKeyConstraint("site_id", "message_key"),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("id", Key, nullable=False),
    _site(),
    Column("type", Key, nullable=False),
    Column("at", Moment, nullable=False),
    Column("thread_id", Key),
    Column("message_id", Key),
    Column("submission_id", Key),
    Column("turn_id", Key),
    Column("data", Json, nullable=False),
    PrimaryKeyConstraint("site_id", "at", "id"),
    Index("ix_events_thread_id_at", "thread_id", "at", "id"),
    sqlite_with_rowid=False,
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Words, nullable=False),
    Column("key", Words, nullable=False),
    Column("body_hash", Key, nullable=False),
    Column("resource_id", Key, nullable=False),
    Column("state", Key, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Words, nullable=False),
    Column("until", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("scope", "key"),
    Index("ix_idempotency_created_at", "created_at"),
    sqlite_with_rowid=False,
)
