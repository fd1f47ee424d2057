"""A database per test, on both kinds: a file of its own, and a database of its own on one throw-away PostgreSQL."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin import Caller, api
from databases import Database, PostgresDatabase, SqliteDatabase
from fastapi import FastAPI
from postgres_server import PostgresServer, postgres_server

from control.store.migrate import migrate
from control.store.store import Store

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables."""
    made = SqliteDatabase(tmp_path_factory.mktemp("template") / "control.db")
    with made.engine() as engine:
        migrate(engine)
    return made.path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """A database of PostgreSQL's with all tables."""
    with PostgresDatabase.created(postgres, "template").engine() as engine:
        migrate(engine)
    return "template"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Empty: no tables yet."""
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "control.db")
    return PostgresDatabase.created(request.getfixturevalue("postgres"), f"test_{next(_NUMBERS)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """With all tables."""
    if request.param == "sqlite":
        made = SqliteDatabase(tmp_path / "control.db")
        shutil.copyfile(request.getfixturevalue("template"), made.path)
        return made
    template = request.getfixturevalue("postgres_template")
    return PostgresDatabase.created(request.getfixturevalue("postgres"), f"test_{next(_NUMBERS)}", template)


@pytest.fixture
def store(migrated: Database) -> Iterator[Store]:
    with migrated.engine() as engine:
        yield Store(engine)


@pytest.fixture
def app(store: Store) -> FastAPI:
    """The admin API on this database."""
    return api(store)


@pytest.fixture
def admin(app: FastAPI) -> Caller:
    """A platform admin."""
    return Caller(app)
