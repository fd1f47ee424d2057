"""A host of a test's: its publisher, and its workers' view of the directory."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from control.directory_rows import changes_of
from control.publisher import Publisher
from control.store.changes import whole_directory
from control.store.store import Store
from headgate.directory.directory import Directory
from headgate.directory.following import Following

DEADLINE_S = 30
TABLES = (
    *("_keys", "_digests", "_limited", "_tenants", "_plans", "_limits", "_user_limits", "_models"),
    "_credits",
    *("_users", "_names", "_roles"),
)


@contextmanager
def published(store: Store, folder: Path, counters_url: str | None = None) -> Iterator[Publisher]:
    publisher = Publisher(store, folder, counters_url)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.close()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.005)


def tables_of(directory: Directory) -> dict[str, Any]:
    """All that it knows."""
    return {"version": directory.version, **{name: getattr(directory, name) for name in TABLES}}


def said_by(store: Store) -> dict[str, Any]:
    """What a directory should know, from the database itself."""
    with store.read() as reader:
        rows = [changes_of(rows) for rows in whole_directory(reader)]
        return tables_of(Directory(reader.version(), rows))


def known_in(folder: Path) -> dict[str, Any]:
    """What a worker that starts now knows."""
    return tables_of(Following(folder).directory)
