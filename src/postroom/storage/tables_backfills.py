"""The table of backfills: one row a site, the last one."""

from sqlalchemy import BigInteger, Column, ForeignKey, Table

from postroom.storage.tables import metadata
from postroom.storage.types import Key, Moment

backfills = Table(
    "backfills",
    metadata,
    Column("site_id", Key, ForeignKey("sites.id"), primary_key=True),
    Column("since", Moment, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("window_at", Moment),
    Column("window_octets", BigInteger, nullable=False),
    Column("finished_at", Moment),
    Column("lease_owner", Key),
    Column("lease_until", Moment),
    Column("lease_token", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
