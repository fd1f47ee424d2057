"""The peppers and the service key as their files say now: what workers and control read.

A file that changes is read again. Nothing here writes, prints or logs what is in one.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from headgate.peppers import Peppers
from headgate.snapshot import AuthRow

LOOKS_EVERY_S = 1.0
MIN_CHARS = 32  # less could be guessed
_Stamp = tuple[int, int, int] | None

log = structlog.get_logger()


class SecretAway(Exception):  # noqa: N818 - a state: nothing is decided without the secret
    """Its file can't be read, or holds none."""


class AuthSecrets:
    """Reads them when they are asked for, and again when they have changed; looks at most once a second.

    What can't be read any more stays as it was: it is being written anew, or the tables will tell.
    """

    def __init__(self, row: AuthRow, folder: Path = Path(), clock: Callable[[], float] = time.monotonic) -> None:
        self._files = [folder / name for name in (row.pepper, row.service_key, *row.previous_peppers)]
        self._clock = clock
        self._stamps: list[_Stamp] = [None] * len(self._files)
        self._secrets: list[bytes | None] = [None] * len(self._files)
        self._peppers: Peppers | None = None
        self._looked = -LOOKS_EVERY_S

    def peppers(self) -> Peppers:
        """Raises SecretAway without a current one."""
        self.look()
        if self._peppers is None:
            raise SecretAway(str(self._files[0]))
        return self._peppers

    def service_key(self) -> bytes:
        """Raises SecretAway."""
        self.look()
        found = self._secrets[1]
        if found is None:
            raise SecretAway(str(self._files[1]))
        return found

    def look(self, *, again: bool = False) -> None:
        """Reads what has changed, unless it has just looked and need not look `again`."""
        now = self._clock()
        if now - self._looked < LOOKS_EVERY_S and not again:
            return
        self._looked = now
        stamps = [_stamp_of(file) for file in self._files]
        if stamps == self._stamps:
            return
        for at, (file, stamp) in enumerate(zip(self._files, stamps, strict=True)):
            if stamp != self._stamps[at]:
                self._secrets[at] = _read(file) or self._secrets[at]
        self._stamps = stamps
        current, _, *previous = self._secrets
        self._peppers = Peppers(current, _given(previous)) if current else None


def _given(secrets: Iterable[bytes | None]) -> Iterable[bytes]:
    return (secret for secret in secrets if secret)


def _stamp_of(file: Path) -> _Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(file: Path) -> bytes | None:
    try:
        secret = file.read_bytes().strip()
    except OSError:
        return None
    if len(secret) < MIN_CHARS:
        log.error("file holds no secret", path=str(file))
        return None
    return secret
