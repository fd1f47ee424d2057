"""What a test may do to its database from outside, the same for both kinds."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from postgres_server import PostgresServer
from sqlalchemy import Engine

from control.store.engine import open_engine, sqlite_url


class Database(Protocol):
    kind: str

    @property
    def url(self) -> str: ...

    def execute(self, *statements: str) -> list[Any]:
        """As somebody with a client of his own; what the last one finds."""

    @contextmanager
    def engine(self) -> Iterator[Engine]: ...


class _Opened:
    url: str

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        engine = open_engine(self.url)
        try:
            yield engine
        finally:
            engine.dispose()


@dataclass
class SqliteDatabase(_Opened):
    path: Path
    kind = "sqlite"

    @property
    def url(self) -> str:
        return sqlite_url(self.path)

    def execute(self, *statements: str) -> list[Any]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return [connection.execute(statement).fetchall() for statement in statements][-1]
        finally:
            connection.close()

    def load(self, dump: str) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            connection.executescript(dump)
        finally:
            connection.close()


@dataclass
class PostgresDatabase(_Opened):
    server: PostgresServer
    name: str
    kind = "postgresql"

    @classmethod
    def created(cls, server: PostgresServer, name: str, template: str = "template1") -> "PostgresDatabase":
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return cls(server, name)

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def execute(self, *statements: str) -> list[Any]:
        with self.server.connect(self.name) as connection:
            cursors = [connection.execute(statement) for statement in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []
