"""What data keys are encrypted under: keys in a file of the state directory, or a key that Vault or KMS keeps.

A wrapped key is bound to its id, so that it opens in no other row. control/transit_key.py and control/kms_key.py have
the other kinds, which alone import what asks Vault and AWS.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control.canonical import canonical
from control.credential_seal import KEY_BYTES, NONCE_BYTES, Broken, UnknownKey, WrappingAway
from headgate.supervise.files import write_atomic

PURPOSE = "headgate data key 1"


class Wrapping(Protocol):
    """One kind. `name` stands beside what it wraps now; both methods raise a SealingError."""

    @property
    def name(self) -> str:
        """What is stored as `wrapped_by`."""

    def wraps(self, wrapped_by: str) -> bool:
        """Whether it opens what stands beside this name."""

    def wrap(self, data_key_id: str, key: bytes) -> bytes:
        """Encrypted under its newest key."""

    def unwrap(self, data_key_id: str, wrapped: bytes, wrapped_by: str) -> bytes:
        """The data key."""

    def renewed(self, data_key_id: str, wrapped: bytes, wrapped_by: str) -> bytes | None:
        """Under its newest key; None where it is already."""


class LocalKeys:
    """The keys of a file, the newest first: one per line, 32 bytes as base64url. It is made when it is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """That of the newest."""
        return _name_of(self._keys()[0])

    def wraps(self, wrapped_by: str) -> bool:
        """Whether the file has it."""
        return wrapped_by.startswith("local:")

    def wrap(self, data_key_id: str, key: bytes) -> bytes:
        """Nonce and ciphertext."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._keys()[0]).encrypt(nonce, key, bound_to(data_key_id))

    def unwrap(self, data_key_id: str, wrapped: bytes, wrapped_by: str) -> bytes:
        """Raises UnknownKey, Broken."""
        for local in self._keys():
            if _name_of(local) == wrapped_by:
                nonce, ciphertext = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
                try:
                    return AESGCM(local).decrypt(nonce, ciphertext, bound_to(data_key_id))
                except (InvalidTag, ValueError):
                    raise Broken(f"the data key {data_key_id} does not open: it was changed or moved") from None
        raise UnknownKey(f"the data key {data_key_id} is wrapped by {wrapped_by}, which is not in {self._path}")

    def renewed(self, data_key_id: str, wrapped: bytes, wrapped_by: str) -> bytes | None:
        """Raises UnknownKey, Broken."""
        if wrapped_by == self.name:
            return None
        return self.wrap(data_key_id, self.unwrap(data_key_id, wrapped, wrapped_by))

    def add_key(self) -> None:
        """A new one, in front of those that are there."""
        self._write([secrets.token_bytes(KEY_BYTES), *self._keys()])

    def keep_newest(self) -> None:
        """The others are gone for good: nothing may be wrapped by them any more."""
        self._write(self._keys()[:1])

    def _keys(self) -> list[bytes]:
        try:
            lines = self._path.read_text("ascii").split()
        except FileNotFoundError:
            self._write([secrets.token_bytes(KEY_BYTES)])
            return self._keys()
        except (OSError, UnicodeDecodeError) as error:
            raise WrappingAway(f"{self._path} cannot be read: {type(error).__name__}") from None
        try:
            keys = [base64.urlsafe_b64decode(line + "=" * (-len(line) % 4)) for line in lines]
        except binascii.Error:
            keys = []
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise WrappingAway(f"{self._path} is no list of keys of {KEY_BYTES} bytes in base64url")
        return keys

    def _write(self, keys: Sequence[bytes]) -> None:
        text = "".join(f"{base64.urlsafe_b64encode(key).decode().rstrip('=')}\n" for key in keys)
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomic(self._path, text.encode(), durable=True)
        except OSError as error:
            raise WrappingAway(f"{self._path} cannot be written: {error.strerror}") from None


def bound_to(data_key_id: str) -> bytes:
    """What a wrapped key is bound to."""
    return canonical([PURPOSE, data_key_id])


def _name_of(key: bytes) -> str:
    return f"local:{hashlib.sha256(b'headgate local key 1' + key).hexdigest()[:16]}"
