"""Brings a database to this version's tables, all steps in one transaction and under one lock.

A process that is killed in the middle leaves what was there before; a second one waits until the first is done and
finds nothing to do. A database of a newer version, or with somebody else's tables, is left as it is.
"""

import sqlite3
from pathlib import Path
from typing import cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

from control.store.engine import allow, writing
from control.store.failures import ForeignSchema, NewerSchema, named
from control.store.migrations import VERSION_TABLE
from control.store.tables import ALL

_LOCK = 0x6865616467617465  # "headgate": the advisory lock's number
_FOLDER = Path(__file__).with_name("migrations")
_WAIT_S = 60  # for another process that is at it
_STEPS_S = 600


def migrate(engine: Engine, folder: Path = _FOLDER) -> str:
    """Makes or brings up the tables; the revision that they have now.

    Raises Unusable when they can't be ours, and what a database raises that is away.
    """
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    steps = ScriptDirectory.from_config(config)
    newest = steps.get_current_head()
    with named(), writing(engine).connect() as connection:
        _prepare(connection)
        with connection.begin():
            _lock(connection)
            found = _revision(connection, steps)
            if found != newest:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                _check(connection)
        connection.invalidate()  # the next one enforces foreign keys again, and has no settings of ours
    return str(newest)


def _prepare(connection: Connection) -> None:
    allow(connection, _WAIT_S if connection.dialect.name == "sqlite" else _WAIT_S + _STEPS_S)
    if connection.dialect.name == "sqlite":
        # Steps that make a table anew would take what refers to it with them. Only outside of a transaction.
        raw = cast("sqlite3.Connection", connection.connection.driver_connection)
        raw.execute("PRAGMA foreign_keys = OFF")


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT_S}s'")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_STEPS_S}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _revision(connection: Connection, steps: ScriptDirectory) -> str | None:
    options = {"version_table": VERSION_TABLE}
    found = MigrationContext.configure(connection, opts=options).get_current_revision()
    if found is None:
        there = set(inspect(connection).get_table_names()) & ALL.tables.keys()
        if there:
            raise ForeignSchema(
                f"the database has tables of somebody else's: {', '.join(sorted(there))};"
                " give Headgate a database, or a schema, of its own"
            )
    elif found not in {step.revision for step in steps.walk_revisions()}:
        raise NewerSchema(
            f"the database has the tables of a newer Headgate (its schema is {found!r}, this version knows up to"
            f" {steps.get_current_head()!r}); start that version, or restore the backup from before its upgrade"
        )
    return found


def _check(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise ForeignSchema(
                f"the database has rows that refer to nothing, in {sorted({row[0] for row in broken})}"
            )
