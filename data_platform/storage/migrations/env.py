"""What Alembic runs around the scripts: our open connection, and nothing read from outside."""

from alembic import context

from data_platform.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=False,  # the caller's transaction holds everything
)
context.run_migrations()
