"""Alembic's entry: runs on the connection that `postroom.storage.schema` hands over."""

from alembic import context

from postroom.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
