"""How a database gets its tables: from every released schema, by one process at a time, and never half."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from databases import Database, PostgresDatabase, SqliteDatabase
from filled import DUMPS, dump_postgres, dump_sqlite, fill
from rows import write_tenant
from sqlalchemy import Engine, inspect

from control.store.audit_log import verify_log
from control.store.failures import ForeignSchema, NewerSchema, Unusable
from control.store.migrate import migrate
from control.store.migrations import VERSION_TABLE
from control.store.store import Store
from control.store.tables import ALL

FOLDER = Path(migrate.__code__.co_filename).with_name("migrations")
CHILD = (sys.executable, str(Path(__file__).with_name("child.py")))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
STEPS = [step.revision for step in ScriptDirectory(str(FOLDER)).walk_revisions()]


def tables_of(database: Database) -> set[str]:
    with database.engine() as engine:
        return set(inspect(engine).get_table_names())


def contents(database: Database, columns: dict[str, list[str]] | None = None) -> dict[str, set[Any]]:
    """All rows, by table; with `columns` only these."""
    with database.engine() as engine:
        look = inspect(engine)
        wanted = columns or {
            table: [column["name"] for column in look.get_columns(table)] for table in look.get_table_names()
        }
    return {
        table: set(database.execute(f"SELECT {', '.join(names)} FROM {table}"))  # noqa: S608 - our own names
        for table, names in wanted.items()
        if table != VERSION_TABLE
    }


def columns_of(database: Database) -> dict[str, list[str]]:
    with database.engine() as engine:
        look = inspect(engine)
        return {table: [column["name"] for column in look.get_columns(table)] for table in look.get_table_names()}


def load(database: Database, dump: str) -> None:
    if isinstance(database, PostgresDatabase):
        database.execute(dump)
    else:
        assert isinstance(database, SqliteDatabase)
        database.load(dump)


def test_every_schema_has_its_dumps() -> None:
    assert {path.name for path in DUMPS.glob("*.sql")} == {
        f"{step}.{kind}.sql" for step in STEPS for kind in ("sqlite", "postgresql")
    }


@pytest.mark.parametrize("step", STEPS)
def test_a_released_schema_is_brought_up_with_all_that_is_in_it(database: Database, step: str) -> None:
    load(database, (DUMPS / f"{step}.{database.kind}.sql").read_text())
    columns = columns_of(database)
    before = contents(database, columns)
    assert all(before.values()), "every table of a dump has a row"
    with database.engine() as engine:
        migrate(engine)
        assert contents(database, columns) == before
        store = Store(engine)
        with store.read() as reader:
            assert verify_log(reader).bad is None
        write_tenant(store, "new")


def test_the_newest_dumps_are_of_what_the_migrations_make(database: Database) -> None:
    """So that the dumps of a schema that is not released yet are made anew with it."""
    made = (DUMPS / f"{STEPS[0]}.{database.kind}.sql").read_text()
    with database.engine() as engine:
        migrate(engine)
    if isinstance(database, PostgresDatabase):
        assert dump_postgres(database, "--schema-only").split() == re.sub(r"(?m)^INSERT .*\n", "", made).split()
    else:
        assert isinstance(database, SqliteDatabase)
        of_here = dump_sqlite(database)
        assert re.sub(r"(?m)^INSERT .*\n", "", of_here) == re.sub(r"(?m)^INSERT .*\n", "", made)


def shape_of(engine: Engine) -> dict[str, Any]:
    """What Alembic does not compare too: checks, and what indexes are of."""
    look = inspect(engine)
    return {
        table: {
            "columns": [
                (
                    column["name"],
                    str(column["type"]),
                    column["nullable"],
                    column["default"],
                    column.get("autoincrement"),
                )
                for column in look.get_columns(table)
            ],
            "key": look.get_pk_constraint(table),
            "checks": sorted((check["name"], check["sqltext"]) for check in look.get_check_constraints(table)),
            "foreign": look.get_foreign_keys(table),
            "unique": look.get_unique_constraints(table),
            "indexes": sorted(
                (
                    index["name"],
                    tuple(index["column_names"]),
                    index["unique"],
                    str(_where(index.get("dialect_options", {}))),
                )
                for index in look.get_indexes(table)
            ),
        }
        for table in ALL.tables
    }


def _where(options: dict[str, Any]) -> Any:
    return options.get("sqlite_where", options.get("postgresql_where"))


def test_the_migrations_make_what_the_model_says(database: Database, tmp_path: Path) -> None:
    with database.engine() as engine:
        ALL.create_all(engine)
        of_the_model = shape_of(engine)
        ALL.drop_all(engine)
        migrate(engine)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            assert compare_metadata(context, ALL) == []
        assert shape_of(engine) == of_the_model


def test_a_second_start_changes_nothing(migrated: Database) -> None:
    before = columns_of(migrated)
    with migrated.engine() as engine:
        fill(Store(engine))
        rows = contents(migrated)
        migrate(engine)
    assert contents(migrated) == rows
    assert columns_of(migrated) == before


def test_connections_after_a_migration_enforce_foreign_keys(database: Database) -> None:
    with database.engine() as engine:
        migrate(engine)
        with engine.connect() as connection, pytest.raises(Exception, match=r"(?i)foreign key"), connection.begin():
            connection.exec_driver_sql("INSERT INTO memberships VALUES ('acme', 'user_none', 'owner', 1, 1, 1, NULL)")


def test_several_processes_may_start_at_once(database: Database) -> None:
    asked = [
        subprocess.Popen([*CHILD, "migrate", database.url], env=ENVIRONMENT, stderr=subprocess.PIPE) for _ in range(4)
    ]
    for process in asked:
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said.decode()
    assert tables_of(database) == {*ALL.tables, VERSION_TABLE}


def test_a_migration_that_is_killed_anywhere_leaves_what_was_there(database: Database) -> None:
    done = subprocess.run(
        [*CHILD, "migrate-and-die", database.url],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30  # so often was it killed, once before each statement
    assert tables_of(database) == {*ALL.tables, VERSION_TABLE}
    with database.engine() as engine:
        fill(Store(engine))


SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", {before!r}, None, None


def upgrade() -> None:
    op.add_column("tenants", sa.Column("extra", sa.Text()))
    {then}
"""


def with_a_step(tmp_path: Path, then: str = "pass") -> Path:
    """The migrations of the next version."""
    folder = tmp_path / "migrations"
    shutil.copytree(FOLDER, folder)
    (folder / "versions" / "9999_next.py").write_text(SECOND.format(before=STEPS[0], then=then))
    return folder


def test_a_step_that_fails_changes_nothing(migrated: Database, tmp_path: Path) -> None:
    folder = with_a_step(tmp_path, "op.execute('INSERT INTO nowhere VALUES (1)')")
    with migrated.engine() as engine:
        fill(Store(engine))
        before = contents(migrated)
        with pytest.raises(Exception, match="nowhere"):
            migrate(engine, folder)
        assert "extra" not in columns_of(migrated)["tenants"]
        assert contents(migrated) == before
        migrate(engine)


def test_a_database_of_a_newer_version_is_left_alone(migrated: Database, tmp_path: Path) -> None:
    with migrated.engine() as engine:
        migrate(engine, with_a_step(tmp_path))
        before = columns_of(migrated)
        with pytest.raises(NewerSchema, match=r"newer Headgate.*'9999'.*'0001'"):
            migrate(engine)
    assert columns_of(migrated) == before
    assert "extra" in before["tenants"]


def test_somebody_elses_tables_are_left_alone(database: Database) -> None:
    database.execute("CREATE TABLE users (id INTEGER)", "CREATE TABLE alembic_version (version_num TEXT)")
    with database.engine() as engine, pytest.raises(ForeignSchema, match=r"users;.*of its own"):
        migrate(engine)
    assert tables_of(database) == {"users", "alembic_version"}


def test_a_database_may_be_shared(database: Database) -> None:
    database.execute(
        "CREATE TABLE theirs (id INTEGER)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('theirs')",
    )
    with database.engine() as engine:
        migrate(engine)
    assert database.execute("SELECT version_num FROM alembic_version") == [("theirs",)]


def test_what_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    path.write_bytes(b"not a database" * 1000)
    with SqliteDatabase(path).engine() as engine, pytest.raises(Exception, match="no database"):
        migrate(engine)
    assert path.read_bytes() == b"not a database" * 1000
    assert issubclass(NewerSchema, Unusable)


def test_the_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    before = os.umask(0o022)
    try:
        with SqliteDatabase(path).engine() as engine:
            migrate(engine)
            write_tenant(Store(engine))
            files = list(tmp_path.iterdir())
            assert {file.name for file in files} == {"control.db", "control.db-wal", "control.db-shm"}
            assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    finally:
        os.umask(before)
