"""What control need not ask SQLite for: a database whose files look as they did."""

import os
import sqlite3
from pathlib import Path

from control.store.looks import looks_of
from control.store.store import Store

AN_HOUR_NS = 3_600 * 10**9


def age(folder: Path) -> None:
    """As if nobody had written for an hour."""
    for path in folder.iterdir():
        written = path.stat().st_mtime_ns - AN_HOUR_NS
        os.utime(path, ns=(written, written))


def test_what_another_process_commits_shows_and_what_was_just_written_looks_like_nothing(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    ours = sqlite3.connect(file, isolation_level=None)
    ours.execute("PRAGMA journal_mode = WAL")
    ours.execute("CREATE TABLE some (one INTEGER)")
    assert looks_of(file) is None  # the next commit might look the same
    age(tmp_path)
    before = looks_of(file)
    assert before is not None
    assert ours.execute("SELECT count(*) FROM some").fetchone() == (0,)
    assert looks_of(file) == before  # reading is no change
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("INSERT INTO some VALUES (1)")
    assert looks_of(file) is None
    age(tmp_path)
    assert looks_of(file) != before
    ours.close()
    other.close()


def test_a_server_has_to_be_asked() -> None:
    store = Store.at("postgresql://nobody@127.0.0.1:1/none")
    assert store.looks() is None
    store.close()
