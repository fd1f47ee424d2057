"""Providers' credentials under a data key: AES-256-GCM. Pure.

What is encrypted is bound to its provider, its field and its data key: in another row it does not open. Nonces are
random; a data key is good for far more credentials than there are (2^32 of them, NIST SP 800-38D).

    SealingError
    ├── BadSecret      the caller's: not usable as a credential, 422
    ├── Broken         a ciphertext or a wrapped key that was changed, or is another row's
    ├── UnknownKey     wrapped by a key that this host does not have
    └── WrappingAway   what wraps data keys does not answer, or refuses: 503

Texts name no secret.
"""

import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control.canonical import canonical

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_CREDENTIAL = 16 * 1024

_PURPOSE = "headgate credential 1"


class SealingError(Exception):
    """Anything that sealing and opening raise."""


class BadSecret(SealingError):  # noqa: N818 - whose fault it is
    """Not usable as a credential; the text says why."""


class Broken(SealingError):  # noqa: N818 - what is found
    """Does not open."""


class UnknownKey(SealingError):  # noqa: N818 - what is found
    """Nothing here unwraps it."""


class WrappingAway(SealingError):  # noqa: N818 - what happened
    """It cannot be wrapped or unwrapped now."""


@dataclass(frozen=True, slots=True, repr=False)
class OpenKey:
    """A data key as it encrypts. It stays in memory."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"OpenKey({self.id})"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A credential as it is stored."""

    provider: str
    field: str
    ciphertext: bytes
    nonce: bytes
    data_key_id: str


def new_key() -> bytes:
    """What a data key is."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: OpenKey, provider: str, field: str, secret: str) -> Sealed:
    """Raises BadSecret for what cannot stand in a header."""
    if not secret or len(secret) > MAX_CREDENTIAL:
        raise BadSecret(f"expected a secret of 1 to {MAX_CREDENTIAL} characters")
    if not (secret.isascii() and secret.isprintable()):
        raise BadSecret("expected printable ASCII without line breaks")
    nonce = secrets.token_bytes(NONCE_BYTES)
    ciphertext = AESGCM(key.key).encrypt(nonce, secret.encode(), _bound_to(provider, field, key.id))
    return Sealed(provider, field, ciphertext, nonce, key.id)


def unseal(key: OpenKey, sealed: Sealed) -> str:
    """The secret. Raises Broken."""
    try:
        bound = _bound_to(sealed.provider, sealed.field, key.id)
        return AESGCM(key.key).decrypt(sealed.nonce, sealed.ciphertext, bound).decode()
    except (InvalidTag, ValueError):
        raise Broken(
            f"the stored {sealed.field} of {sealed.provider} does not open: it was changed or moved"
        ) from None


def _bound_to(provider: str, field: str, data_key_id: str) -> bytes:
    return canonical([_PURPOSE, provider, field, data_key_id])
