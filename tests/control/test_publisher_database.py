"""What control tells the workers while its database is away, hangs, comes back older or is damaged."""

import datetime as dt
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import SqliteDatabase
from postgres_server import PostgresServer, postgres_server
from rows import revoke, write_key
from watched import known_in, published, said_by, wait_until

from control.store.changes import compact_directory
from control.store.engine import Waits
from control.store.store import Store
from headgate.directory.following import Following
from tests.stopped import stop

LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
QUICK = Waits(lock_s=0.2, statement_s=1.0, connect_s=2, pool_s=1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "directory"


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def test_with_the_database_away_workers_go_on_and_start(own_postgres: PostgresServer, folder: Path) -> None:
    store = Store.open(own_postgres.url("postgres"), QUICK)
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version is not None)
        made = write_key(store)
        following = Following(folder)
        own_postgres.stop(signal.SIGKILL)
        wait_until(lambda: publisher.state.problem)
        state = publisher.state
        assert state.problem
        assert state.problem.startswith("database: ")
        assert state.since
        assert state.as_of
        assert state.as_of <= state.since
        assert state.version == made.version
        assert following.directory.key(made.digest)
        assert Following(folder).directory.key(made.digest)
        own_postgres.start()
        wait_until(lambda: publisher.state.problem is None)
        revoke(store, made)
        assert following.catch_up()
        assert not following.directory.key(made.digest)
    own_postgres.stop()
    with published(store, folder) as late:  # a control process that starts without its database
        wait_until(lambda: late.state.problem)
        assert not Following(folder).directory.key(made.digest)
        assert Following(folder).directory.version == made.version + 1
    store.close()


def test_a_database_that_hangs_is_said_and_ends(own_postgres: PostgresServer, folder: Path) -> None:
    store = Store.open(own_postgres.url("postgres"), QUICK)
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version is not None)
        assert own_postgres.process
        with own_postgres.connect("postgres") as asking:
            asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'headgate'"
            backends = [row[0] for row in asking.execute(asked).fetchall()]
        for pid in (own_postgres.process.pid, *backends):
            stop(pid)
        try:
            wait_until(lambda: publisher.state.problem)
        finally:
            for pid in (own_postgres.process.pid, *backends):
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: publisher.state.problem is None)
    store.close()


def test_who_was_away_while_tombstones_went_reads_everything(store: Store, folder: Path) -> None:
    keys = [write_key(store) for _ in range(3)]
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version == 3)
    following = Following(folder)
    revoke(store, keys[0])
    with store.write_aside() as writer:
        assert compact_directory(writer, LATER) == 1
    write_key(store)
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version == 5)
    following.catch_up()
    assert not following.directory.key(keys[0].digest)
    assert known_in(folder) == said_by(store)


def test_a_database_that_was_restored_is_followed_back(template: Path, tmp_path: Path, folder: Path) -> None:
    database = SqliteDatabase(tmp_path / "control.db")
    shutil.copyfile(template, database.path)
    store = Store.open(database.url)
    kept = write_key(store)
    store.close()
    shutil.copyfile(database.path, tmp_path / "backup.db")
    store = Store.open(database.url)
    lost = [write_key(store) for _ in range(3)]
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version == 4)
    store.close()
    following = Following(folder)
    assert following.directory.key(lost[0].digest)
    shutil.copyfile(tmp_path / "backup.db", database.path)
    store = Store.open(database.url)
    others = [write_key(store) for _ in range(5)]  # its version is above the one that was known
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version == 6)
    assert known_in(folder) == said_by(store)
    following.catch_up()
    assert all(following.directory.key(key.digest) for key in (kept, *others))
    assert not any(following.directory.key(key.digest) for key in lost)
    store.close()


def test_a_damaged_database_takes_nothing_from_the_workers(template: Path, tmp_path: Path, folder: Path) -> None:
    database = SqliteDatabase(tmp_path / "control.db")
    shutil.copyfile(template, database.path)
    with database.engine() as engine:
        made = write_key(Store(engine))
        with published(Store(engine), folder) as publisher:
            wait_until(lambda: publisher.state.version == 1)
    database.path.write_bytes(b"nothing of a database" * 1000)
    with database.engine() as engine, published(Store(engine), folder) as publisher:
        wait_until(lambda: publisher.state.problem)
        assert Following(folder).directory.key(made.digest)
