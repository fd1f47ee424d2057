"""Keys of the database: from what a client sent to its row in the directory, by HMAC under each known pepper.

What was found is kept with the version of the directory that said so. As soon as there is another version the row is
looked up again, so nothing that was revoked is remembered.
"""

import hmac
import time
from collections.abc import Callable
from typing import Protocol

from authz.caller import Caller, Known
from authz.tenants import closed
from headgate.auth_secrets import AuthSecrets, SecretAway
from headgate.directory.directory import Directory
from headgate.directory.rows import KeyRow
from headgate.peppers import Peppers
from headgate.snapshot import Snapshot
from headgate.virtual_key import has_checksum

KEPT = 20_000  # about 14 MB
LOOKS_PER_S = 500  # at the directory's log, for keys that nobody knows: about 2 µs each


class Following(Protocol):
    """The directory, which goes on."""

    @property
    def directory(self) -> Directory:
        """As it is known now."""

    def catch_up(self) -> bool:
        """Reads what there is more of it; whether there was any."""


class _Found(Known):
    """What the directory said, which versions of the key and its tenant that were, and up to which one they hold."""

    __slots__ = ("ends_at", "made_of", "version")

    def __init__(self, caller: Caller, ends_at: float | None, made_of: tuple[int, int], version: int) -> None:
        super().__init__(caller)
        self.ends_at = ends_at
        self.made_of = made_of
        self.version = version


class DatabaseKeys:
    """What one snapshot makes of the directory's keys."""

    def __init__(self, snapshot: Snapshot, secrets: AuthSecrets, clock: Callable[[], float] = time.monotonic) -> None:
        self._snapshot = snapshot
        self._secrets = secrets
        self._directory: Directory | None = None
        self._found: dict[bytes, _Found] = {}
        self._looks = Looks(clock)

    def find(self, credential: str, following: Following, now: float) -> Known | str:
        """Whose key it is, or why it can't be used. The credential looks like a key. `now` is epoch seconds."""
        if not has_checksum(credential):
            return "unknown_key"
        try:
            found = self._look_up(credential, self._secrets.peppers(), following.directory, now)
            if found in ("unknown_key", "unknown_tenant") and self._looks.may():
                self._secrets.look(again=True)
                following.catch_up()
                found = self._look_up(credential, self._secrets.peppers(), following.directory, now)
        except SecretAway:
            return "no_pepper"
        return found

    def _look_up(self, credential: str, peppers: Peppers, directory: Directory, now: float) -> Known | str:
        if directory is not self._directory:
            self._directory = directory
            self._found.clear()
        for digest, _ in peppers.candidates(credential):
            found = self._found.get(digest)
            if found is None or found.version != directory.version:
                row = directory.key(digest)
                if row is None or not hmac.compare_digest(row.digest, digest):
                    self._found.pop(digest, None)
                    continue
                made_of = (row.version, directory.tenant_version(row.tenant) if row.tenant else 0)
                if found is None or found.made_of != made_of:
                    reason = self._unusable(row, directory)
                    if reason is not None:
                        self._found.pop(digest, None)
                        return reason
                    found = self._keep(digest, _Found(_caller(row, directory), row.ends_at, made_of, 0))
                found.version = directory.version
            return found if found.ends_at is None or found.ends_at > now else "expired_key"
        return "unknown_key"

    def _unusable(self, row: KeyRow, directory: Directory) -> str | None:
        if row.disabled:
            return "disabled_key"
        if (row.tenant is None) != (row.role == "admin"):  # the one has no tenant, the others have one
            return "unknown_key"
        return None if row.tenant is None else closed(row.tenant, self._snapshot, directory)

    def _keep(self, digest: bytes, found: _Found) -> _Found:
        if len(self._found) >= KEPT:
            self._found.clear()
        self._found[digest] = found
        return found


def _caller(row: KeyRow, directory: Directory) -> Caller:
    return Caller(
        "key",
        row.id,
        row.tenant,
        row.role,
        row.endpoints,
        row.models,
        source="database",
        directory=directory.version,
    )


class Looks:
    """Bounds how often keys that nobody knows make a worker look at the directory's log."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = 0
        self._left = LOOKS_PER_S

    def may(self) -> bool:
        """Whether once more in this second."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._left = second, LOOKS_PER_S
        self._left -= 1
        return self._left >= 0
