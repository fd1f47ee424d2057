"""Ed25519 (RFC 8032) over the canonical manifest: who signs, whom to trust.

A key is 32 bytes in base64, either alphabet: `openssl rand -base64 32` makes a signing key. A key's id is the first
16 hex digits of its public part's SHA-256.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from headgate.adapters.failures import Untrusted

KEY_BYTES = 32
MAX_SIGNATURE_BYTES = 1024
_DOMAIN = b"headgate adapter manifest 1\n"  # a signature of anything else by the same key is none of a manifest
_ID_CHARS = 16


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`manifest.sig`."""

    key: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    signature: Annotated[str, Meta(max_length=100)]
    algorithm: Literal["ed25519"] = "ed25519"


class SigningKey:
    """Signs; nothing of it is in a repr."""

    def __init__(self, seed: bytes) -> None:
        """Raises ValueError unless it is 32 bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.id = key_id(self.public)

    def sign(self, manifest: bytes) -> bytes:
        """What `manifest.sig` has to say of these canonical bytes."""
        signature = base64.b64encode(self._key.sign(_DOMAIN + manifest)).decode()
        return msgspec.json.encode(Signature(self.id, signature), order="sorted")


class TrustedKeys:
    """Public keys, several while one takes another's place."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """Raises ValueError for what is no public key."""
        self._keys = {key_id(key): Ed25519PublicKey.from_public_bytes(key) for key in keys}

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(self._keys)

    def verify(self, manifest: bytes, signed: bytes) -> str:
        """The id of the key that has signed this. Raises Untrusted."""
        try:
            said = msgspec.json.decode(signed, type=Signature)
            signature = base64.b64decode(said.signature, validate=True)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise Untrusted("manifest.sig: not a signature") from None
        key = self._keys.get(said.key)
        if key is None:
            known = ", ".join(self._keys) or "none"
            raise Untrusted(f"manifest.sig: signed with key {said.key}, trusted are {known}")
        try:
            key.verify(signature, _DOMAIN + manifest)
        except InvalidSignature:
            raise Untrusted(f"manifest.sig: not what key {said.key} has signed") from None
        return said.key


def key_id(public: bytes) -> str:
    """What a key is called."""
    return hashlib.sha256(public).hexdigest()[:_ID_CHARS]


def key_bytes(text: str) -> bytes:
    """The 32 bytes of a key as it is written. Raises ValueError, which quotes nothing."""
    plain = text.strip().rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("expected 32 bytes in base64, such as `openssl rand -base64 32` prints")
    return key


def key_text(key: bytes) -> str:
    """A public key as `trusted_keys` has it."""
    return base64.b64encode(key).decode()
