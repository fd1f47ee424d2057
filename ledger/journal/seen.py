"""Which requests were counted, by their ids: a line that comes again, in whatever file, is known by that.

One table for each day of counting, dropped whole when nothing of that day can come again. An id takes 16 bytes: a
UUID its own, everything else those of a digest. In the caller's transaction.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b

_KEY_BYTES = 16
_PREFIX = "seen_"


def key_of(request_id: str) -> bytes:
    """What a request is known by."""
    if len(request_id) == 36:
        try:
            key = bytes.fromhex(request_id.replace("-", ""))
        except ValueError:
            key = b""
        if len(key) == _KEY_BYTES and request_id == _written(key):
            return key
    return _digest(request_id.encode())


def key_of_nobodys(text: bytes, at: int) -> bytes:
    """Of a line without a tenant, whose id is what a client sent: it must not stand for another one's request.

    So it is known by all that is in it, and where.
    """
    return _digest(b"%d " % at + text)


def take(db: sqlite3.Connection, keys: Sequence[bytes], today: int) -> list[bool]:
    """Note these requests; for each whether it is seen for the first time."""
    table, before = f"{_PREFIX}{today}", _tables(db)
    if table not in before:
        db.execute(f"CREATE TABLE {table} (id BLOB PRIMARY KEY) WITHOUT ROWID")
    search = _search(name for name in before if name != table)
    insert = f"INSERT OR IGNORE INTO {table} VALUES (?)"  # noqa: S608 - fixed text and a number
    return [
        not (search and db.execute(search, (key,)).fetchone()) and db.execute(insert, (key,)).rowcount > 0
        for key in keys
    ]


def known(db: sqlite3.Connection, keys: Iterable[bytes]) -> set[bytes]:
    """Which of these were noted."""
    search = _search(_tables(db))
    return {key for key in keys if search and db.execute(search, (key,)).fetchone()}


def drop_before(db: sqlite3.Connection, day: int) -> int:
    """Forget the days before this one; how many there were."""
    old = [table for table in _tables(db) if int(table.removeprefix(_PREFIX)) < day]
    for table in old:
        db.execute(f"DROP TABLE {table}")
    return len(old)


def _tables(db: sqlite3.Connection) -> list[str]:
    found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB ?", (f"{_PREFIX}[0-9]*",))
    return [name for (name,) in found]


def _search(tables: Iterable[str]) -> str:
    """One statement over all days, newest first; "" without any. `spool.keep` of a year makes 370 of them."""
    parts = [f"SELECT 1 FROM {table} WHERE id = ?1" for table in sorted(tables, reverse=True)]  # noqa: S608 - fixed text
    return " UNION ALL ".join(parts) + " LIMIT 1" if parts else ""


def _written(key: bytes) -> str:
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_KEY_BYTES).digest()
