"""What gateway.yaml says of its Vault, as those need it who ask it."""

from collections.abc import Mapping
from pathlib import Path

from headgate.config.secret_refs import SecretRef
from headgate.config.secrets import SecretError, resolve
from headgate.config.vault import Secrets
from headgate.vault.errors import VaultRefused
from headgate.vault.login import Credentials, Read
from headgate.vault.server import Server, TransitSettings


def server_of(secrets: Secrets, base: Path) -> Server:
    """`base` is the folder of gateway.yaml."""
    return Server(str(secrets.vault), secrets.namespace, str(base / secrets.ca) if secrets.ca else None)


def credentials_of(secrets: Secrets, base: Path, environ: Mapping[str, str]) -> Credentials:
    """How to sign in; what is needed is read at each sign-in."""

    def read(reference: SecretRef) -> Read:
        def resolved() -> str:
            try:
                return resolve(reference, base, environ)
            except SecretError as error:
                raise VaultRefused(f"signing in to Vault: {error}") from None

        return resolved

    def jwt() -> str:
        try:
            return (base / secrets.jwt).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise VaultRefused(f"signing in to Vault: {secrets.jwt} cannot be read") from None

    if secrets.auth == "token":
        return Credentials("token", "token", read(secrets.token))
    mount = secrets.mount or secrets.auth or ""
    if secrets.auth == "approle":
        return Credentials("approle", mount, read(secrets.role_id), read(secrets.secret_id))
    return Credentials("kubernetes", mount, lambda: secrets.role or "", jwt)


def transit_of(secrets: Secrets, base: Path) -> TransitSettings | None:
    """The key that wraps data keys; with KMS, the Vault that may have wrapped them before; None without both."""
    if secrets.transit:
        return TransitSettings(server_of(secrets, base), *secrets.transit_key)
    return TransitSettings(server_of(secrets, base)) if secrets.kms else None
