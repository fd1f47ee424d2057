"""`store.json`: the object by which a store that is there is told from a directory that is not mounted, or another's.

It says whose the store is: the id of a database, or none yet for one that an operator has made by hand.
"""

import msgspec

from headgate.objects.failures import NoSuchObject, StoreAway, StoreRefuses, TooLarge
from headgate.objects.store import ObjectStore, read_small

MARKER = "store.json"
_MOST_BYTES = 4096


class Marker(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it says."""

    database: str | None = None


def read_marker(store: ObjectStore) -> Marker | None:
    """None where there is none. Raises ObjectsError."""
    try:
        return msgspec.json.decode(read_small(store, MARKER, _MOST_BYTES), type=Marker)
    except NoSuchObject:
        return None
    except (TooLarge, msgspec.DecodeError, UnicodeDecodeError):
        raise StoreRefuses(f"{MARKER}: not what Headgate has written there") from None


def write_marker(store: ObjectStore, database: str) -> None:
    """The store is this database's from now on. Raises ObjectsError."""
    content = msgspec.json.encode(Marker(database))
    store.put(MARKER, [content], _MOST_BYTES)


def check_marked(store: ObjectStore) -> None:
    """Raises StoreAway where an object that is missing says nothing, since the store may be. Raises ObjectsError."""
    if read_marker(store) is None:
        raise StoreAway(f"the store of objects has no {MARKER}: it is not mounted, or is another one")
