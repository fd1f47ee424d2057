"""Keys of gateway.yaml: from what a client sent to the key's row. Pure; timing tells nothing about a stored key.

Look-up is by SHA-256 of the whole key, so what a caller controls is never compared with a secret byte by byte.
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from authz.caller import Caller, Known
from headgate.snapshot import Key
from headgate.virtual_key import KEY


class _Declared(Known):
    """A key that has been used, and until when it can be."""

    __slots__ = ("digest", "expires")

    def __init__(self, key: Key) -> None:
        super().__init__(Caller("key", key.key_id, key.tenant, "developer"))
        self.digest = key.digest
        self.expires = key.expires


class KeyTable:
    """All keys of a snapshot, by digest."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.digest: key for key in keys}
        self._used: dict[bytes, _Declared] = {}

    def find(self, credential: str, now: float) -> Known | str | None:
        """Whose key it is, why it can't be used, or None for what gateway.yaml does not have. `now` is epoch seconds.

        Of any length and of any characters, though what is long is no key and not worth hashing.
        """
        digest = sha256(credential.encode()).digest()
        found = self._used.get(digest)
        if found is None:
            key = self._keys.get(digest)
            if key is None or not KEY.fullmatch(credential):
                return None
            if key.disabled:
                return "disabled_key"
            found = self._used[digest] = _Declared(key)
        if not hmac.compare_digest(found.digest, digest):
            return None
        return found if found.expires is None or found.expires > now else "expired_key"


def bearer_token(authorization: str) -> str:
    """The token of an Authorization header; "" when it is not Bearer. RFC 6750, section 2.1."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
