"""The tables of the processes that watch accounts. One row each is written every few seconds, however many
accounts there are: the lease of an account is its holder's heartbeat."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table

from postroom.storage.tables import metadata
from postroom.storage.types import Key, Moment, Words

workers = Table(
    "workers",
    metadata,
    Column("id", Key, primary_key=True),
    Column("host", Words, nullable=False),
    Column("role", Key, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("seen_until", Moment, nullable=False),
    sqlite_with_rowid=False,
)

# Without an owner, or with one that is dead, an account is free. The row stays, so that its token never comes
# again.
holdings = Table(
    "holdings",
    metadata,
    Column("site_id", Key, ForeignKey("sites.id"), primary_key=True),
    Column("owner", Key),
    Column("token", BigInteger, nullable=False),
    Index("ix_holdings_owner", "owner"),
    sqlite_with_rowid=False,
)
