"""A database that is locked, slow, hung, full, damaged or away: a typed answer in a bounded time, nothing lost."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from databases import Database, PostgresDatabase, SqliteDatabase
from postgres_server import PostgresServer, postgres_server
from rows import ADMIN, tenant, write_tenant
from sqlalchemy import event, text
from test_store_migrations import CHILD, ENVIRONMENT

from control.store.audit_log import verify_log
from control.store.engine import Waits, open_engine
from control.store.failures import (
    ForeignSchema,
    StoreAway,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    Unanswered,
)
from control.store.migrate import migrate
from control.store.paging import Wish
from control.store.store import Store
from control.store.tenants import find_tenant, insert_tenant, list_tenants
from control.store.unit import Reader
from control.store.values import Tenant
from tests.stopped import stop

SHORT = Waits(lock_s=0.3, statement_s=1.0, connect_s=2, pool_s=0.5)
SOON_S = 60  # "bounded", on a machine that is busy; an endless wait would be the test's timeout


@pytest.fixture
def hasty(migrated: Database) -> Iterator[Store]:
    engine = open_engine(migrated.url, SHORT)
    yield Store(engine, SHORT)
    engine.dispose()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that a test may kill."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def on_own_server(own_server: PostgresServer) -> Iterator[Store]:
    database = PostgresDatabase.created(own_server, "control")
    store = Store.open(database.url, SHORT)
    yield store
    store.close()


def fails_soon(store: Store, kind: type[StoreError]) -> StoreError:
    began = time.monotonic()
    with pytest.raises(kind) as raised:
        write_tenant(store, "late")
    assert time.monotonic() - began < SOON_S
    assert raised.type is kind
    return raised.value


def test_a_locked_database_is_busy_and_can_be_read(hasty: Store, migrated: Database) -> None:
    write_tenant(hasty)
    with migrated.engine() as engine, Store(engine).write(ADMIN):
        said = fails_soon(hasty, StoreBusy)
        with hasty.read() as reader:
            assert find_tenant(reader, "acme")
    assert "locked" in str(said)
    write_tenant(hasty, "late")


def test_writers_of_one_process_wait_for_each_other_and_not_for_ever(hasty: Store) -> None:
    with hasty.write(ADMIN), ThreadPoolExecutor(1) as other:
        other.submit(fails_soon, hasty, StoreBusy).result(timeout=SOON_S)
    write_tenant(hasty, "late")


def test_too_many_readers_are_told_to_come_again(hasty: Store) -> None:
    enough, done = threading.Barrier(9), threading.Event()

    def read() -> None:
        with hasty.read() as reader:
            reader.version()
            enough.wait(SOON_S)
            done.wait(SOON_S)

    with ThreadPoolExecutor(8) as others:
        reading = [others.submit(read) for _ in range(8)]
        enough.wait(SOON_S)
        with pytest.raises(StoreBusy, match="no connection free"), hasty.read():
            pass
        done.set()
        for one in reading:
            one.result(timeout=SOON_S)
    write_tenant(hasty)


def test_a_slow_statement_is_ended(on_own_server: Store) -> None:
    with pytest.raises(StoreBusy, match="too long"), on_own_server.read() as reader:
        reader.rows(text("SELECT pg_sleep(30)"))
    write_tenant(on_own_server)


def test_a_server_that_is_away_and_comes_back(on_own_server: Store, own_server: PostgresServer) -> None:
    write_tenant(on_own_server)
    own_server.stop(signal.SIGQUIT)
    fails_soon(on_own_server, StoreAway)
    with pytest.raises(StoreAway):
        on_own_server.check()
    with pytest.raises(StoreAway), on_own_server.read():
        pass
    own_server.start()
    on_own_server.check()
    with on_own_server.read() as reader:
        assert find_tenant(reader, "acme")
    write_tenant(on_own_server, "late")


def test_a_server_that_hangs_is_away(on_own_server: Store, own_server: PostgresServer) -> None:
    write_tenant(on_own_server)
    assert own_server.process
    backends = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == own_server.process.pid]
    for pid in (*backends, own_server.process.pid):
        stop(pid)
    try:
        said = fails_soon(on_own_server, StoreAway)
    finally:
        for pid in (*backends, own_server.process.pid):
            os.kill(pid, signal.SIGCONT)
    assert "not reachable" in str(said)
    write_tenant(on_own_server, "later")


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_a_connection_that_is_cut_in_a_unit_undoes_it(on_own_server: Store, own_server: PostgresServer) -> None:
    with pytest.raises(StoreAway):
        write_and_lose(on_own_server, own_server)
    with on_own_server.read() as reader:
        assert find_tenant(reader, "acme") is None
    write_tenant(on_own_server)


def write_and_lose(store: Store, server: PostgresServer) -> None:
    with store.write(ADMIN) as unit:
        insert_tenant(unit, tenant())
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headgate'")
        unit.record("tenant.create", "tenant", "acme")


def test_a_standby_takes_no_writes(hasty: Store, migrated: Database) -> None:
    if isinstance(migrated, PostgresDatabase):
        migrated.execute(f"ALTER DATABASE {migrated.name} SET default_transaction_read_only = on")
        assert "read-only" in str(fails_soon(hasty, StoreAway))


def test_a_password_is_in_no_error(own_server: PostgresServer) -> None:
    for url in (
        f"postgresql://headgate:hunter2@127.0.0.1:1/x?host={own_server.folder}",
        "postgresql://headgate:hunter2@127.0.0.1:1/x",
        "postgresql://headgate:hunter2@[/x",
        "mysql://headgate:hunter2@127.0.0.1/x",
    ):
        with pytest.raises((StoreAway, ForeignSchema)) as raised:
            Store.open(url, SHORT)
        seen, error = [], raised.value
        while error is not None:
            seen.append(f"{error} {error!r}")
            error = error.__cause__ or error.__context__
        assert "hunter2" not in " ".join(seen)


def write_many(store: Store) -> None:
    for number in range(1000):
        write_tenant(store, f"t{number}", metadata={"x": "y" * 1000})


def test_a_full_disk_is_said_so_and_loses_nothing(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "control.db")
    store = Store.open(database.url, SHORT)
    write_tenant(store)
    limited = store.engine

    @event.listens_for(limited, "connect")
    def small(connection: sqlite3.Connection, _record: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 4}")

    store.engine.dispose()
    with pytest.raises(StoreFull, match="full"):
        write_many(store)
    with store.read() as reader:
        assert verify_log(reader).bad is None
        assert reader.version() == len(list_tenants(reader, Wish(1000)).items)
    event.remove(limited, "connect", small)
    store.engine.dispose()
    write_tenant(store, "late")
    store.close()


def test_a_disk_that_takes_no_more_of_the_log(tmp_path: Path) -> None:
    """The kernel itself refuses: a process that may not write files beyond a size."""
    code = (
        "import resource, signal, sys; from rows import write_tenant; from control.store.store import Store;"
        "from control.store.failures import StoreError;"
        "store = Store.open(sys.argv[1]); signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000));\n"
        "for number in range(10_000):\n"
        "    try: write_tenant(store, f't{number}', metadata={'x': 'y' * 5000})\n"
        "    except StoreError as error: print(number, type(error).__name__); break\n"
    )
    path = tmp_path / "control.db"
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{Path(__file__).parent}"}
    done = subprocess.run(
        [sys.executable, "-c", code, SqliteDatabase(path).url], env=environment, capture_output=True, text=True,
        timeout=200, check=True,
    )  # fmt: skip
    written, kind = done.stdout.split()
    assert kind in ("StoreFull", "StoreDamaged")
    store = Store.open(SqliteDatabase(path).url)
    with store.read() as reader:
        assert reader.version() == int(written) > 3
        assert verify_log(reader).bad is None
    store.close()


def test_a_damaged_file_is_said_so(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "control.db")
    store = Store.open(database.url)
    for number in range(50):
        write_tenant(store, f"t{number}")
    store.close()
    raw = bytearray(database.path.read_bytes())
    raw[4096 * 3 :] = os.urandom(len(raw) - 4096 * 3)
    database.path.write_bytes(raw)
    store = Store(open_engine(database.url))
    with pytest.raises(StoreDamaged, match="damaged"), store.read() as reader:
        list(list_tenants(reader, Wish(1000)).items)
    store.close()


def test_a_file_that_can_not_be_opened_is_said_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "control.db"):
        with pytest.raises(StoreAway, match="can't be opened"):
            Store.open(SqliteDatabase(path).url)


def test_what_was_answered_survives_a_kill(migrated: Database) -> None:
    known: set[str] = set()
    for wanted in (1, 7, 20):
        writer = subprocess.Popen([*CHILD, "write", migrated.url], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        known |= {writer.stdout.readline().strip() for _ in range(wanted)}
        writer.kill()
        known |= {line.strip() for line in writer.stdout if line.endswith("\n")}
        writer.wait(SOON_S)
        writer.stdout.close()
        with migrated.engine() as engine, Store(engine).read() as reader:
            there = {found.id for found in list_tenants(reader, Wish(1000)).items}
            assert known <= there
            assert verify_log(reader).entries == reader.version() == len(there)
            assert verify_log(reader).bad is None
            known = there
    assert len(known) >= 28


def test_what_was_answered_survives_the_servers_kill(own_server: PostgresServer) -> None:
    database = PostgresDatabase.created(own_server, "control")
    with database.engine() as engine:
        migrate(engine)
    writer = subprocess.Popen(
        [*CHILD, "write", database.url], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert writer.stdout
    known = {writer.stdout.readline().strip() for _ in range(20)}
    own_server.stop(signal.SIGKILL)
    said, error = writer.communicate(timeout=SOON_S)
    known |= set(said.split())
    assert "StoreAway" in error
    own_server.start()
    with database.engine() as engine, Store(engine).read() as reader:
        there = {found.id for found in list_tenants(reader, Wish(1000)).items}
        assert known <= there
        assert len(there) <= len(known) + 1  # the one whose commit was not answered
        assert verify_log(reader).bad is None


def all_tenants(reader: Reader) -> list[Tenant]:
    page = list_tenants(reader, Wish(1000))
    found = [*page.items]
    while page.next:
        page = list_tenants(reader, Wish(1000, page.next))
        found += page.items
    return found


def test_two_processes_write_one_history(migrated: Database) -> None:
    writers = [
        subprocess.Popen([*CHILD, "write", migrated.url], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    known: set[str] = set()
    try:
        for writer in writers:
            assert writer.stdout
            known |= {writer.stdout.readline().strip() for _ in range(15)}
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    with migrated.engine() as engine, Store(engine).read() as reader:
        there = all_tenants(reader)
        assert known <= {found.id for found in there}
        assert sorted(found.version for found in there) == list(range(1, reader.version() + 1))
        assert verify_log(reader).bad is None


def test_an_answer_means_that_it_is_on_the_disk(hasty: Store, migrated: Database) -> None:
    if isinstance(migrated, PostgresDatabase):
        asked = {"synchronous_commit": "on", "lock_timeout": "300ms", "transaction_isolation": "read committed"}
        migrated.execute(f"ALTER DATABASE {migrated.name} SET synchronous_commit = off")
        query = "SELECT current_setting('{}')"
    else:
        asked = {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1, "secure_delete": 1, "busy_timeout": 300}
        query = "PRAGMA {}"
    with hasty.write(ADMIN) as unit:
        for name, wanted in asked.items():
            row = unit.row(text(query.format(name)))
            assert row
            assert (name, row[0]) == (name, wanted)


def test_every_kind_of_failure_says_whether_to_come_again() -> None:
    assert all(issubclass(kind, Unanswered) for kind in (StoreAway, StoreBusy, StoreFull))
    assert not issubclass(StoreDamaged, Unanswered)
