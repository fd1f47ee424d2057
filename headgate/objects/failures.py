"""What can go wrong with objects.

    ObjectsError
    ├── NoSuchObject   nothing has this name
    ├── TooLarge       more bytes than the caller allows; nothing was written
    ├── StoreAway      not reachable, overloaded, or broken off: later it may be well
    ├── StoreFull      no room left
    └── StoreRefuses   permissions, credentials, no such bucket: an operator has to see to it

A name that breaks the rules of `names.py` is a ValueError: the caller's mistake. Texts hold no credential.
"""


class ObjectsError(Exception):
    """Any of these. Whatever it is, an object that was being written is not there, or is what it was."""


class NoSuchObject(ObjectsError):  # noqa: N818 - a state of the store
    """Nothing has this name."""


class TooLarge(ObjectsError):  # noqa: N818 - what was given
    """More than the caller allows."""


class StoreAway(ObjectsError):  # noqa: N818 - a state of the store
    """It cannot be used now."""


class StoreFull(ObjectsError):  # noqa: N818 - a state of the store
    """It has no room."""


class StoreRefuses(ObjectsError):  # noqa: N818 - what it said
    """Not like this."""
