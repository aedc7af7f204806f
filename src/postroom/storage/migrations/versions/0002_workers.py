"""Processes that watch accounts, and who holds which account.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Heartbeats, and accounts held."""
    op.create_table(
        "workers",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("host", KEY, nullable=False),
        sa.Column("role", KEY, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_until", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "holdings",
        sa.Column("site_id", KEY, sa.ForeignKey("sites.id"), primary_key=True),
        sa.Column("owner", KEY),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_holdings_owner", "holdings", ["owner"])


def downgrade() -> None:
    """Without them."""
    op.drop_table("holdings")
    op.drop_table("workers")
