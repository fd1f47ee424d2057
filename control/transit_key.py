"""Data keys wrapped by a key of Vault's transit engine (control/wrapping.py)."""

from collections.abc import Iterator
from contextlib import contextmanager

from control.credential_seal import KEY_BYTES, Broken, WrappingAway
from control.wrapping import bound_to
from headgate.vault.errors import VaultError, VaultRefused
from headgate.vault.transit import Transit

_KIND = "vault:"


class TransitKey:
    """A key of Vault's transit engine. What it encrypts begins with its name, so no row's opens in another one."""

    def __init__(self, transit: Transit) -> None:
        self._transit = transit
        self.name = f"{_KIND}{transit.key_path}"

    def wraps(self, wrapped_by: str) -> bool:
        """Whether a key of this Vault did."""
        return wrapped_by.startswith(_KIND)

    def wrap(self, data_key_id: str, key: bytes) -> bytes:
        """Vault's text, which says the version of its key."""
        with _asking():
            return self._transit.encrypt(bound_to(data_key_id) + key).encode()

    def unwrap(self, data_key_id: str, wrapped: bytes, wrapped_by: str) -> bytes:
        """Raises WrappingAway, Broken. Another key of this Vault opens what it has wrapped."""
        transit = self._transit
        if wrapped_by != self.name:
            transit = transit.beside(wrapped_by.removeprefix(_KIND))
        with _asking():
            opened = transit.decrypt(wrapped.decode("ascii", "replace"))
        bound = bound_to(data_key_id)
        if not opened.startswith(bound) or len(opened) != len(bound) + KEY_BYTES:
            raise Broken(f"the data key {data_key_id} does not open: it was changed or moved")
        return opened[len(bound) :]

    def renewed(self, data_key_id: str, wrapped: bytes, wrapped_by: str) -> bytes | None:
        """By the newest version of the key; Vault shows nobody what is in it, unless another key has wrapped it."""
        if wrapped_by != self.name:
            return self.wrap(data_key_id, self.unwrap(data_key_id, wrapped, wrapped_by))
        text = wrapped.decode("ascii", "replace")
        with _asking():
            fresh = self._transit.rewrap(text)
        return None if _version_of(fresh) == _version_of(text) else fresh.encode()


@contextmanager
def _asking() -> Iterator[None]:
    """Vault's failures as those of sealing. What it can't decrypt it refuses like a bad request."""
    try:
        yield
    except VaultRefused as error:
        raise Broken(f"Vault does not open or renew a data key: {error}") from None
    except VaultError as error:
        raise WrappingAway(f"Vault: {error}") from None


def _version_of(text: str) -> str:
    """`vault:v3:…`: v3."""
    return text.split(":", 2)[1] if text.count(":") > 1 else ""
