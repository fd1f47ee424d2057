"""Peppers: what digests of the database's keys are made with, the current one and those that are being replaced.

An operator who puts another pepper in the place of one gives the old one as a previous one, for as long as keys that
were made under it are in use. Pure; nothing here prints a pepper.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from headgate.virtual_key import digest_of

_ID_CHARS = 16


def pepper_id(pepper: bytes) -> str:
    """What a pepper is called beside each digest: it tells which one to ask for, and nothing of it."""
    return sha256(b"headgate pepper" + pepper).hexdigest()[:_ID_CHARS]


class Peppers:
    """All that are known, the current one first."""

    def __init__(self, current: bytes, previous: Iterable[bytes] = ()) -> None:
        self._all = {pepper_id(pepper): pepper for pepper in (current, *previous)}
        self.current = pepper_id(current)

    @property
    def ids(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._all)

    def digest(self, key: str) -> tuple[bytes, str]:
        """What is stored of a new key: its digest, and which pepper it is made with."""
        return digest_of(key, self._all[self.current]), self.current

    def candidates(self, key: str) -> Iterator[tuple[bytes, str]]:
        """What the database may have stored of this key, whichever pepper was the current one then."""
        for name, pepper in self._all.items():
            yield digest_of(key, pepper), name
