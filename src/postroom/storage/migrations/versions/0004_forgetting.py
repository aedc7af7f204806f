"""What retention leaves behind of what it deleted, and what is answered in Sent.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
UNKNOWN = sa.text("status = 'unknown'")


def upgrade() -> None:
    """Places to remember by, and the indexes that forgetting needs."""
    op.add_column("sites", sa.Column("forgotten_before", sa.BigInteger()))
    op.add_column(
        "cursors", sa.Column("forgotten_below", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_table(
        "replied",
        sa.Column("site_id", KEY, sa.ForeignKey("sites.id"), nullable=False),
        sa.Column("message_key", KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "message_key"),
        sqlite_with_rowid=False,
    )
    op.drop_index("ix_turns_site_id", "turns")
    op.create_index("ix_turns_site_id_started_at", "turns", ["site_id", "started_at"])
    op.create_index(
        "ix_submissions_unknown",
        "submissions",
        ["site_id", "created_at"],
        sqlite_where=UNKNOWN,
        postgresql_where=UNKNOWN,
    )


def downgrade() -> None:
    """Without them."""
    op.drop_index("ix_submissions_unknown", "submissions")
    op.drop_index("ix_turns_site_id_started_at", "turns")
    op.create_index("ix_turns_site_id", "turns", ["site_id"])
    op.drop_table("replied")
    op.drop_column("cursors", "forgotten_below")
    op.drop_column("sites", "forgotten_before")
