"""Connections to the database, set up so that an answered write survives a kill and a power cut, and no wait is
endless.

SQLite: WAL, foreign keys, synchronous FULL, and what is deleted is overwritten. PostgreSQL: each transaction has
limits for locks and statements (SET LOCAL, so that a pooler in between may share connections), and a server that
vanishes is noticed. Transactions are ours: `reading` and `writing` say which kind. Nothing here logs a URL or a
parameter.
"""

import contextlib
import importlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from control.store.failures import ForeignSchema, StoreAway, StoreBusy, StoreDamaged, named
from control.store.tables import ALL

_WRITES = "headgate_writes"
_REWRITE_S = 600
_SERVERS_TURN_S = 5  # to say that a statement has taken too long, before we take the server for hung


@dataclass(frozen=True, slots=True)
class Waits:
    """How long, at most."""

    lock_s: float = 3.0
    statement_s: float = 10.0
    connect_s: int = 5
    pool_s: float = 5.0


def open_engine(url: str, waits: Waits | None = None) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://…`. Connects to nothing yet."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ForeignSchema("services.database is no URL of a database") from None
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, waits or Waits())
    return _postgresql(parsed, waits or Waits())


def sqlite_url(path: Path) -> str:
    """The URL of a file."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def file_of(url: str) -> Path | None:
    """SQLite's file; None for a server. Raises what an URL that is none raises."""
    found = make_url(url)
    return Path(found.database) if found.get_backend_name() == "sqlite" and found.database else None


def _sqlite(url: URL, waits: Waits) -> Engine:
    path = Path(url.database or "")

    def connect() -> sqlite3.Connection:
        return _connect_sqlite(path, waits.lock_s)

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=0,
        pool_timeout=waits.pool_s,
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _connect_sqlite(path: Path, lock_s: float) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its -wal and -shm get the same mode
    except OSError as error:
        raise StoreAway(f"the database's file can't be opened: {error.strerror}") from error
    connection = sqlite3.connect(path, timeout=lock_s, isolation_level=None, check_same_thread=False)
    with contextlib.ExitStack() as on_error:
        on_error.callback(connection.close)
        _prepare_sqlite(connection)
        on_error.pop_all()
    return connection


def _prepare_sqlite(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreDamaged("the database's file system does not carry a write-ahead log; use a local disk")


def _postgresql(url: URL, waits: Waits) -> Engine:
    connection_type = importlib.import_module("control.store.postgres_connection").BoundedConnection
    settings = {
        "lock": f"{round(waits.lock_s * 1000)}",
        "statement": f"{round(waits.statement_s * 1000)}",
        "idle": f"{round(waits.statement_s * 3000)}",
    }
    limits = {
        "connect_timeout": waits.connect_s,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "application_name": "headgate",
    }
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={**limits, "prepare_threshold": None},  # a pooler may give each transaction another connection
        pool_size=8,
        max_overflow=0,
        pool_timeout=waits.pool_s,
        pool_pre_ping=True,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, cargs: list[Any], cparams: dict[str, Any]) -> Any:
        connection = connection_type.connect(*cargs, **cparams)
        connection.longest_s = waits.statement_s + _SERVERS_TURN_S
        return connection

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(_BEGUN, settings)

    return engine


# An operator's synchronous_commit stays, unless it is off: then an answered write could be lost.
_BEGUN = """
SELECT set_config('lock_timeout', %(lock)s, true), set_config('statement_timeout', %(statement)s, true),
       set_config('idle_in_transaction_session_timeout', %(idle)s, true),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                                        ELSE current_setting('synchronous_commit') END, true)
"""


def reading(engine: Engine) -> Engine:
    """The engine, for transactions that see one state of the database from beginning to end."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: Engine) -> Engine:
    """The engine, for transactions that will write: on SQLite they are the only ones from their beginning on."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(**{_WRITES: True})
    return engine.execution_options(isolation_level="READ COMMITTED")  # after the lock, what is committed counts


def allow(connection: Connection, longest_s: float) -> None:
    """Lets a connection's statements, or on SQLite its waits for the lock, take so long. Invalidate it afterwards."""
    raw = connection.connection.driver_connection
    if isinstance(raw, sqlite3.Connection):
        raw.execute(f"PRAGMA busy_timeout = {round(longest_s * 1000)}")
    elif raw is not None:
        raw.longest_s = longest_s


def check_connection(engine: Engine) -> None:
    """Raises StoreError if the database does not answer now."""
    with named(), engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("SELECT 1")


def overwrite_erased(engine: Engine) -> None:
    """Has the database's files forget what was deleted: SQLite's log, PostgreSQL's dead rows. Not backups.

    PostgreSQL writes each table anew (a plain VACUUM would leave the bytes), and nobody reads that table meanwhile.
    """
    with named():
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                raw = cast("sqlite3.Connection", connection.connection.driver_connection)
                (busy, _frames, _moved) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if busy:
                    raise StoreBusy("the database is being read; its log was not emptied")
            return
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            allow(connection, _REWRITE_S)
            connection.exec_driver_sql("SET lock_timeout = '3s'")
            connection.exec_driver_sql(f"VACUUM (FULL) {', '.join(sorted(ALL.tables))}")
            connection.invalidate()  # with its settings
