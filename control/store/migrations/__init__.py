"""How a database gets the tables of this version, one step per file below `versions`. Released steps never change."""

from sqlalchemy import Engine, inspect

from control.store.engine import reading
from control.store.failures import named

VERSION_TABLE = (
    "headgate_schema"  # says which steps it has had; the database may be shared with others that use Alembic
)
NEWEST = "0001"  # the revision that the last step makes


def is_current(engine: Engine) -> bool:
    """Whether the last step was the last one that it has had. Raises what a database raises that is away."""
    with named(), reading(engine).connect() as connection, connection.begin():
        if not inspect(connection).has_table(VERSION_TABLE):
            return False
        found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars().all()  # noqa: S608
    return found == [NEWEST]
