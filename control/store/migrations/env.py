"""What Alembic runs: on the connection, in the transaction and under the lock of control/store/migrate.py."""

from alembic import context

from control.store.migrations import VERSION_TABLE
from control.store.tables import ALL

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=ALL,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
