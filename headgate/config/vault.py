"""`services.secrets` of gateway.yaml: the Vault that `vault:` references are about, how to sign in, and AWS KMS."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from headgate.config import values
from headgate.config.entry import Entry, FilePath, HttpUrl, LocalSecret, VaultPath
from headgate.config.kms import Kms
from headgate.config.secret_refs import SecretRef
from headgate.config.wording import found

MIN_REFRESH_S = 0.5  # each look is a request for every secret that is referred to
VaultAuth = Literal["token", "approle", "kubernetes"]

# Whose keys these are; what is in no list is for all.
KEYS_OF: dict[str, tuple[str, ...]] = {
    "token": ("token",),
    "approle": ("role_id", "secret_id", "mount"),
    "kubernetes": ("role", "jwt", "mount"),
}


def _refresh(value: Any) -> float:
    seconds = values.duration(value)
    if seconds < MIN_REFRESH_S:
        raise ValueError(f"expected a duration from 500ms to 24h, found {found(value)}")
    return seconds


class Secrets(Entry):
    """A Vault, or OpenBao, with `auth`, which says what of the keys count; a key of AWS KMS; or both."""

    vault: HttpUrl | None = None
    auth: Annotated[VaultAuth, PlainValidator(values.one_of(*KEYS_OF))] | None = None
    token: LocalSecret = SecretRef("env", "VAULT_TOKEN")
    role_id: LocalSecret = SecretRef("env", "VAULT_ROLE_ID")
    secret_id: LocalSecret = SecretRef("env", "VAULT_SECRET_ID")
    role: VaultPath | None = None
    jwt: FilePath = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    mount: VaultPath | None = None
    namespace: VaultPath | None = None
    ca: FilePath | None = None
    refresh_s: Annotated[float, PlainValidator(_refresh)] = Field(default=30.0, alias="refresh")
    transit: VaultPath | None = None
    kms: Kms | None = None

    @property
    def credentials(self) -> dict[str, SecretRef]:
        """What one signs in with, by its key."""
        given = {"token": self.token, "role_id": self.role_id, "secret_id": self.secret_id}
        return {key: reference for key, reference in given.items() if key in KEYS_OF.get(self.auth or "", ())}

    @property
    def transit_key(self) -> tuple[str, str]:
        """Mount and name of the key in `transit`, which stands there as `NAME` or `MOUNT/NAME`."""
        mount, _, name = (self.transit or "").rpartition("/")
        return mount or "transit", name
