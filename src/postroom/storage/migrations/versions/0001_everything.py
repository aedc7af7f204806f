"""Everything: sites, conversations, messages, submissions, events.

Revision ID: 0001
Revises:
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES = (
    "answered",
    "submissions",
    "places",
    "attachments",
    "messages",
    "turns",
    "parties",
    "threads",
    "contacts",
    "events",
    "cursors",
    "accounts",
    "keys",
    "tokens",
    "addresses",
    "facts",
    "idempotency",
    "sites",
)


def upgrade() -> None:
    """From nothing."""
    _registry()
    _conversations()
    _messages()
    _submissions()
    _records()


def downgrade() -> None:
    """To nothing."""
    for table in TABLES:
        op.drop_table(table)


def _site() -> sa.Column[str]:
    return sa.Column("site_id", KEY, sa.ForeignKey("sites.id"), nullable=False)


def _lease() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("lease_owner", KEY),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("lease_token", sa.BigInteger, nullable=False, server_default="0"),
    )


def _index(table: str, name: str, *columns: str, where: str | None = None) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def _registry() -> None:
    """Sites with their addresses, secrets, keys and accounts."""
    op.create_table(
        "sites",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("document", JSON, nullable=False),
        sa.Column("environment", sa.Boolean, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("account_since", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "addresses",
        sa.Column("address", KEY, primary_key=True),
        _site(),
        sqlite_with_rowid=False,
    )
    _index("addresses", "ix_addresses_site_id", "site_id")
    op.create_table(
        "tokens",
        sa.Column("id", KEY, primary_key=True),
        _site(),
        sa.Column("token_type", KEY, nullable=False),
        sa.Column("identifier", KEY, nullable=False),
        sa.Column("sealed", KEY, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("site_id", "token_type", "identifier"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "facts",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("value", KEY, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "keys",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("key_hash", KEY, nullable=False),
        sa.Column("label", KEY, nullable=False),
        sa.Column("site_id", KEY, sa.ForeignKey("sites.id")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.UniqueConstraint("key_hash"),
        sqlite_with_rowid=False,
    )
    _index("keys", "ix_keys_site_id", "site_id")
    op.create_table(
        "accounts",
        sa.Column("site_id", KEY, sa.ForeignKey("sites.id"), primary_key=True),
        sa.Column("state", KEY, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("last_sync_at", sa.BigInteger),
        sa.Column("next_try_at", sa.BigInteger),
        sa.Column("error_code", KEY, nullable=False),
        sa.Column("error_text", KEY, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("refusals", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cursors",
        _site(),
        sa.Column("mailbox", KEY, nullable=False),
        sa.Column("uidvalidity", sa.BigInteger, nullable=False),
        sa.Column("next_uid", sa.BigInteger, nullable=False),
        sa.Column("silent_below", sa.BigInteger, nullable=False),
        sa.Column("silent_before", sa.BigInteger),
        sa.Column("resets", sa.Integer, nullable=False),
        sa.Column("reset_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("site_id", "mailbox"),
        sqlite_with_rowid=False,
    )


def _conversations() -> None:
    """Threads and who takes part in them."""
    op.create_table(
        "threads",
        sa.Column("id", KEY, primary_key=True),
        _site(),
        sa.Column("thread_key", KEY, nullable=False),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("cites", KEY),
        sa.Column("paused", KEY, nullable=False),
        *_lease(),
        sa.Column("lease_message", KEY),
        sqlite_with_rowid=False,
    )
    _index("threads", "ix_threads_site_id_last_at", "site_id", "last_at", "id")
    op.create_table(
        "parties",
        sa.Column("thread_id", KEY, sa.ForeignKey("threads.id"), nullable=False),
        sa.Column("address", KEY, nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "address"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "contacts",
        _site(),
        sa.Column("address", KEY, nullable=False),
        sa.PrimaryKeyConstraint("site_id", "address"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "turns",
        sa.Column("id", KEY, primary_key=True),
        _site(),
        sa.Column("thread_id", KEY, nullable=False),
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("agent", KEY, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("outcome", KEY, nullable=False),
        sa.Column("reason", KEY, nullable=False),
        sa.Column("token_hash", KEY, nullable=False),
        sa.Column("waits_until", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    _index("turns", "ix_turns_site_id", "site_id")


def _messages() -> None:
    """Messages with their files and places."""
    op.create_table(
        "messages",
        sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", KEY, nullable=False),
        _site(),
        sa.Column("thread_id", KEY, sa.ForeignKey("threads.id"), nullable=False),
        sa.Column("direction", KEY, nullable=False),
        sa.Column("source", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("reason", KEY, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("answered_by", KEY),
        sa.Column("trust", KEY, nullable=False),
        sa.Column("automatic", KEY, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("date", sa.BigInteger),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("raw", KEY, nullable=False),
        sa.Column("content_key", KEY, nullable=False),
        sa.Column("message_key", KEY, nullable=False),
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("in_reply_to", JSON, nullable=False),
        sa.Column("references", JSON, nullable=False),
        sa.Column("sender", JSON),
        sa.Column("reply_to", JSON, nullable=False),
        sa.Column("to", JSON, nullable=False),
        sa.Column("cc", JSON, nullable=False),
        sa.Column("delivered_to", KEY, nullable=False),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("attachments", JSON, nullable=False),
        sa.Column("notes", JSON, nullable=False),
        sa.Column("new_text", KEY, nullable=False),
        sa.Column("text", KEY, nullable=False),
        sa.Column("html", KEY),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    _index("messages", "ix_messages_thread_id_seq", "thread_id", "seq")
    _index("messages", "ix_messages_site_id_seq", "site_id", "seq", "state")
    _index("messages", "ix_messages_raw", "raw")
    _index("messages", "ix_messages_site_id_message_key", "site_id", "message_key")
    _index("messages", "ix_messages_without_id", "site_id", "content_key", where="message_key = ''")
    _index("messages", "ix_messages_due", "due_at", where="state = 'due'")
    _index("messages", "ix_messages_due_thread", "thread_id", "seq", where="state = 'due'")
    op.create_table(
        "attachments",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("message_id", KEY, sa.ForeignKey("messages.id"), nullable=False),
        sqlite_with_rowid=False,
    )
    _index("attachments", "ix_attachments_message_id", "message_id")
    op.create_table(
        "places",
        _site(),
        sa.Column("mailbox", KEY, nullable=False),
        sa.Column("uidvalidity", sa.BigInteger, nullable=False),
        sa.Column("uid", sa.BigInteger, nullable=False),
        sa.Column("message_id", KEY, sa.ForeignKey("messages.id"), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "mailbox", "uidvalidity", "uid"),
        sqlite_with_rowid=False,
    )
    _index("places", "ix_places_message_id", "message_id")


def _submissions() -> None:
    """Submissions and whom they answered."""
    op.create_table(
        "submissions",
        sa.Column("id", KEY, primary_key=True),
        _site(),
        sa.Column("thread_id", KEY, sa.ForeignKey("threads.id"), nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("message_key", KEY, nullable=False),
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("answers", KEY),
        sa.Column("new_sender", sa.Boolean, nullable=False),
        sa.Column("sender", KEY, nullable=False),
        sa.Column("recipients", JSON, nullable=False),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("raw", KEY, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("smtputf8", sa.Boolean, nullable=False),
        sa.Column("status", KEY, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("first_try_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", KEY, nullable=False),
        sa.Column("aftercare", KEY, nullable=False),
        *_lease(),
        sqlite_with_rowid=False,
    )
    _index("submissions", "ix_submissions_site_id_created_at", "site_id", "created_at", "id", "status")
    _index("submissions", "ix_submissions_site_id_message_key", "site_id", "message_key", "created_at", "id")
    _index("submissions", "ix_submissions_thread_id_created_at", "thread_id", "created_at")
    _index("submissions", "ix_submissions_queued", "due_at", where="status = 'queued'")
    _index("submissions", "ix_submissions_transmitting", "created_at", where="status = 'transmitting'")
    _index(
        "submissions", "ix_submissions_aftercare", "site_id", "created_at", "id", where="aftercare = 'due'"
    )
    _index(
        "submissions",
        "ix_submissions_new_sender",
        "site_id",
        "created_at",
        "status",
        "new_sender",
        where="new_sender",
    )
    op.create_table(
        "answered",
        _site(),
        sa.Column("address", KEY, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("submission_id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("site_id", "address", "created_at", "submission_id"),
        sqlite_with_rowid=False,
    )


def _records() -> None:
    """Events and idempotency keys."""
    op.create_table(
        "events",
        sa.Column("id", KEY, nullable=False),
        _site(),
        sa.Column("type", KEY, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("thread_id", KEY),
        sa.Column("message_id", KEY),
        sa.Column("submission_id", KEY),
        sa.Column("turn_id", KEY),
        sa.Column("data", JSON, nullable=False),
        sa.PrimaryKeyConstraint("site_id", "at", "id"),
        sqlite_with_rowid=False,
    )
    _index("events", "ix_events_thread_id_at", "thread_id", "at", "id")
    op.create_table(
        "idempotency",
        sa.Column("scope", KEY, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("body_hash", KEY, nullable=False),
        sa.Column("resource_id", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", KEY, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
        sqlite_with_rowid=False,
    )
    _index("idempotency", "ix_idempotency_created_at", "created_at")
