"""Virtual keys: from what a client sent to the key's row. Pure; timing tells nothing about a stored key.

Look-up is by SHA-256 of the whole key, so what a caller controls is never compared with a secret byte by byte.
"""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256

from headgate.snapshot import Key

# Anything longer or with other characters cannot be a key and is not worth hashing.
_KEY = re.compile(r"hg-[A-Za-z0-9_-]{43}", re.ASCII)
_NO_DIGEST = bytes(32)


class KeyTable:
    """All keys of a snapshot, by digest."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.digest: key for key in keys}

    def find(self, credential: str, now: float) -> Key | None:
        """The row of a usable key; None for anything else, whatever is wrong with it. `now` is epoch seconds."""
        if not _KEY.fullmatch(credential):
            return None
        digest = sha256(credential.encode()).digest()
        key = self._keys.get(digest)
        same = hmac.compare_digest(key.digest if key else _NO_DIGEST, digest)
        if key is None or not same or key.disabled or (key.expires is not None and key.expires <= now):
            return None
        return key

    def reason(self, credential: str, now: float) -> str:
        """Why `find` finds nothing: for counting refusals, never for the client."""
        key = self._keys.get(sha256(credential.encode()).digest()) if _KEY.fullmatch(credential) else None
        if key is None:
            return "unknown_key" if _KEY.fullmatch(credential) else "malformed_key"
        return "expired_key" if key.expires is not None and key.expires <= now else "disabled_key"


def bearer_token(authorization: str) -> str:
    """The token of an Authorization header; "" when it is not Bearer. RFC 6750, section 2.1."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
