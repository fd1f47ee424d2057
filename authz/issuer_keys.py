"""An issuer's keys as the ledger has written them: loaded when the file changes, given up when they are too old.

Nothing is fetched here, and no key comes from a token. The file is looked at once a second at most, and when a token
names a key that is not in it; then the ledger is asked to fetch, unless it has just tried.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable

import jwt
import msgspec
import structlog

from headgate.issuers import LIVE_S, REFETCH_S, IssuerKeys, IssuerRow, PublicKey, keys_file, read_keys, wanted_file

LOOK_EVERY_S = 1.0

_KINDS = {"RS256": {"kty": "RSA"}, "ES256": {"kty": "EC", "crv": "P-256"}, "EdDSA": {"kty": "OKP", "crv": "Ed25519"}}
_Named = tuple[str, str | None]  # an algorithm and a key id

log = structlog.get_logger()


class HeldKeys:
    """The keys of one issuer. `version` is another one whenever they may be others."""

    def __init__(self, row: IssuerRow) -> None:
        self.version = 0
        self._issuer = row.issuer
        self._file, self._wanted = keys_file(row), wanted_file(row)
        self._said = IssuerKeys(row.issuer, [], fetched=0.0, tried=0.0)
        self._keys: dict[_Named, jwt.PyJWK] = {}
        self._stamp: tuple[int, int] | None = None
        self._looked = -LOOK_EVERY_S
        self._can_ask = True

    def count(self, now: float) -> bool:
        """Whether the keys count: not where none were ever fetched, or none for too long. Looks at the file."""
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self.look()
        return now - self._said.fetched < LIVE_S

    def find(self, algorithm: str, kid: str | None) -> jwt.PyJWK | None:
        """The key that a token names, for its algorithm; the only one for it, where it names none."""
        return self._keys.get((algorithm, kid))

    def want(self, now: float) -> bool:
        """Have the ledger fetch the keys again; False when it has just tried, or can't be asked."""
        if 0 <= now - self._said.tried < REFETCH_S:
            return False
        try:
            self._wanted.touch(0o600)
        except OSError as error:  # one line: anybody's token makes for one more try
            if self._can_ask:
                log.warning("keys of an issuer can't be asked for", issuer=self._issuer, error=str(error))
            self._can_ask = False
            return False
        self._can_ask = True
        return True

    def look(self) -> None:
        """Load the file if it is another one. One that can't be read changes nothing."""
        self._looked = time.monotonic()
        try:
            found = os.stat(self._file)  # noqa: PTH116 - half of what Path.stat takes
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return
            said = read_keys(self._file)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.warning("keys of an issuer can't be read", issuer=self._issuer, error=str(error))
            return
        if said is None or said.issuer != self._issuer:
            return
        if said.keys != self._said.keys:
            self._keys = _by_name(said.keys)
        self._said, self._stamp = said, stamp
        self.version += 1


def _by_name(keys: Iterable[PublicKey]) -> dict[_Named, jwt.PyJWK]:
    """By algorithm and key id. Of several with one name none counts; a key that is alone can go without its name."""
    found = list(dict.fromkeys(keys))
    names: list[_Named] = [(key.alg, key.kid) for key in found]
    alone = Counter(key.alg for key in found)
    made: dict[_Named, jwt.PyJWK] = {}
    for key, name in zip(found, names, strict=True):
        parts = {member: value for member in ("n", "e", "x", "y") if (value := getattr(key, member))}
        try:
            loaded = jwt.PyJWK({**_KINDS[key.alg], **parts}, key.alg)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            log.warning("key of an issuer can't be used", kid=key.kid)
            continue
        if names.count(name) == 1:
            made[name] = loaded
        if alone[key.alg] == 1:
            made[key.alg, None] = loaded
    return made
