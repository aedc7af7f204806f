"""How far the reading of history has come.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Backfills, one a site."""
    op.create_table(
        "backfills",
        sa.Column("site_id", KEY, sa.ForeignKey("sites.id"), primary_key=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("window_at", sa.BigInteger()),
        sa.Column("window_octets", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("lease_owner", KEY),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("lease_token", sa.BigInteger(), nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Without them."""
    op.drop_table("backfills")
