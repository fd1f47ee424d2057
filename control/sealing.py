"""Seals what lies in the database for a while and must not be read there: kept answers with a new key in them.

AES-256-GCM under a key derived from the service key, which is not in the database. What is sealed is bound to the
row that it lies in.
"""

import secrets
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_PURPOSE = b"headgate kept answers 1"


class Unreadable(Exception):  # noqa: N818 - a state of what was kept
    """Sealed under another key, or changed."""


class Seal:
    """`service_key` is asked each time: it may be replaced while the process runs."""

    def __init__(self, service_key: Callable[[], bytes]) -> None:
        self._service_key = service_key

    def close(self, text: bytes, place: bytes) -> bytes:
        """The sealed text; `place` has to be the same when it is opened."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, text, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Raises Unreadable."""
        try:
            return self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            raise Unreadable("sealed under another key") from None

    def _cipher(self) -> AESGCM:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(self._service_key())
        return AESGCM(derived)
