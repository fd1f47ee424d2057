"""What can go wrong with the store: one tree, and from the drivers' errors to it.

    StoreError
    ├── Unusable              the process must not start on it
    │   ├── NewerSchema       made by a newer version of Headgate
    │   ├── ForeignSchema     somebody else's tables, or no database
    │   └── StoreLost         empty, and this host knows that it was not
    ├── Unanswered            nothing is known to have happened; the caller may come again: 503
    │   ├── StoreAway         not reachable, going down, or a standby
    │   ├── StoreBusy         locked or too slow: the bounded wait is over
    │   ├── KeyAway           what credentials are encrypted under cannot be opened now
    │   └── StoreFull         no room on its disk
    ├── StoreDamaged          the file or the disk below it is broken
    ├── Gap                   the changes asked for are compacted: read the whole directory
    └── Refused               the caller's: nothing was changed
        ├── Missing           404
        ├── Exists            409
        ├── InUse             409: something living refers to it
        ├── Stale             412: somebody else has changed it
        ├── BadCursor         400
        ├── BadValue          422
        └── OtherRequest      422: the Idempotency-Key was used for another body

A connection that is lost in the middle of a commit leaves it open whether the change was made: StoreAway as well.
With an Idempotency-Key the caller can ask again without harm. Texts name no value, no address and no password.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class StoreError(Exception):
    """Anything that the store raises."""


class Unusable(StoreError):  # noqa: N818 - a state of the database, told to the operator
    """The database is not one that this version can work on."""


class NewerSchema(Unusable):
    """Made by a newer version."""


class ForeignSchema(Unusable):
    """Not ours."""


class StoreLost(Unusable):
    """It is empty, and this host knows that it was not."""


class Unanswered(StoreError):  # noqa: N818 - what happened
    """The database could not do it now."""


class StoreAway(Unanswered):
    """Not reachable."""


class KeyAway(Unanswered):
    """No data key is open."""


class StoreBusy(Unanswered):
    """Locked or too slow."""


class StoreFull(Unanswered):
    """No room."""


class StoreDamaged(StoreError):  # noqa: N818 - a state
    """Broken."""


class Gap(StoreError):  # noqa: N818 - a state of the asker's knowledge
    """Changes since that version are not known any more."""


class Refused(StoreError):  # noqa: N818 - an answer to the caller
    """The caller's wish can't be met."""


class Missing(Refused):
    """There is none."""


class Exists(Refused):
    """There is one already."""


class InUse(Refused):
    """Something refers to it."""


class Stale(Refused):
    """The row has changed since it was read."""


class BadCursor(Refused):
    """Not a cursor of this list."""


class BadValue(Refused):
    """A value that no column takes."""


class OtherRequest(Refused):
    """The Idempotency-Key belongs to another request."""


_SQLITE: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreBusy, "the database is locked by another process"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "the database is locked"),
    sqlite3.SQLITE_FULL: (StoreFull, "the database's disk is full"),
    sqlite3.SQLITE_READONLY: (StoreAway, "the database is read-only"),
    sqlite3.SQLITE_CANTOPEN: (StoreAway, "the database's file can't be opened"),
    sqlite3.SQLITE_PERM: (StoreAway, "the database's file can't be opened"),
    sqlite3.SQLITE_IOERR: (StoreDamaged, "the database's disk fails"),
    sqlite3.SQLITE_CORRUPT: (StoreDamaged, "the database's file is damaged"),
    sqlite3.SQLITE_NOTADB: (StoreDamaged, "the database's file is no database"),
    sqlite3.SQLITE_CONSTRAINT: (Exists, "another row has this already"),
    sqlite3.SQLITE_TOOBIG: (BadValue, "a value is too large"),
}
# By SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL: dict[str, tuple[type[StoreError], str]] = {
    "25006": (StoreAway, "the database is read-only: a standby?"),
    "40": (StoreBusy, "the database has undone it for another's sake"),
    "53100": (StoreFull, "the database's disk is full"),
    "53": (StoreBusy, "the database has no room for more work"),
    "55P03": (StoreBusy, "the database is locked"),
    "57014": (StoreBusy, "the database took too long"),
    "57P": (StoreAway, "the database is going down"),
    "08": (StoreAway, "the database is not reachable"),
    "28": (StoreAway, "the database refuses our user or password"),
    "3D000": (StoreAway, "the database does not exist on its server"),
    "42501": (StoreAway, "the database's user lacks a privilege"),
    "58": (StoreDamaged, "the database's disk fails"),
    "XX": (StoreDamaged, "the database is damaged"),
    "23505": (Exists, "another row has this already"),
    "22": (BadValue, "a value is not storable"),
}


@contextmanager
def named() -> Iterator[None]:
    """Turns what SQLAlchemy and the drivers raise into StoreErrors; our own bugs stay what they are."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusy("the database has no connection free") from error
    except DBAPIError as error:
        failure = _failure_of(error.orig)
        if failure is None:
            raise
        raise failure[0](failure[1]) from error
    except StatementError as error:
        if isinstance(error.orig, ValueError):
            raise BadValue(str(error.orig)) from error
        raise


def _failure_of(error: BaseException | None) -> tuple[type[StoreError], str] | None:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return None if code is None else _of_sqlite(code)
    psycopg = sys.modules.get("psycopg")  # nobody else has imported it where the database is SQLite: 9 MB
    return _of_postgresql(psycopg, error) if psycopg and isinstance(error, psycopg.Error) else None


def _of_sqlite(code: int) -> tuple[type[StoreError], str] | None:
    if code in (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE):
        return _SQLITE[sqlite3.SQLITE_CONSTRAINT]
    primary = code & 0xFF  # the rest says more of the same
    return None if primary == sqlite3.SQLITE_CONSTRAINT else _SQLITE.get(primary)


def _of_postgresql(psycopg: Any, error: Any) -> tuple[type[StoreError], str] | None:
    state = error.sqlstate
    if state is None:  # nothing came from the server
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return StoreAway, "the database is not reachable"
        return (BadValue, "a value is not storable") if isinstance(error, psycopg.DataError) else None
    found = (_POSTGRESQL[prefix] for prefix in (state, state[:3], state[:2]) if prefix in _POSTGRESQL)
    return next(found, None)
