"""What a part works with: the store and the keys that gateway.yaml names, of the accepted generation."""

from pathlib import Path

from headgate.adapter_row import AdapterRow
from headgate.adapters.failures import KeyAway
from headgate.adapters.signature import SigningKey, TrustedKeys, key_bytes
from headgate.objects.opening import open_store
from headgate.objects.store import ObjectStore


class AdapterAccess:
    """Of one row; nothing is opened or read before it is asked for. `state` is the state directory."""

    def __init__(self, row: AdapterRow, state: Path = Path()) -> None:
        self.row, self._state = row, state
        self._store: ObjectStore | None = None

    def store(self) -> ObjectStore:
        """Raises ObjectsError."""
        if self._store is None:
            self._store = open_store(self.row.objects, self._state)
        return self._store

    def signing_key(self) -> SigningKey:
        """As its file says now. Raises KeyAway."""
        try:
            return SigningKey(key_bytes((self._state / self.row.signing_key).read_text("ascii")))
        except (OSError, ValueError) as error:
            raise KeyAway(f"{self.row.signing_key}: {_why(error)}") from None

    def trusted(self) -> TrustedKeys:
        """The signing key's own, and those that gateway.yaml names. Raises KeyAway."""
        return TrustedKeys([self.signing_key().public, *map(key_bytes, self.row.trusted_keys)])


def _why(error: OSError | ValueError) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else "it does not hold 32 bytes in base64"
