"""A key of Vault's transit engine, which encrypts and never leaves Vault.

The token is the supervisor's, in a file: read for each question, since it changes.
"""

import base64
from pathlib import Path
from typing import Any

from headgate.vault.client import asking, client_of
from headgate.vault.errors import VaultAway
from headgate.vault.files import read_token
from headgate.vault.server import TransitSettings


class Transit:
    """`folder` is where the token's file is. Every method raises VaultError."""

    def __init__(self, settings: TransitSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self.key_path = f"{settings.mount}/{settings.key}"

    def beside(self, key_path: str) -> "Transit":
        """Another key of the same Vault."""
        mount, _, key = key_path.rpartition("/")
        return Transit(TransitSettings(self._settings.server, mount, key), self._folder)

    def encrypt(self, plain: bytes) -> str:
        """Vault's text of it."""
        text = base64.b64encode(plain).decode()
        return self._ask("encrypt_data", "ciphertext", plaintext=text)

    def decrypt(self, ciphertext: str) -> bytes:
        """What was encrypted."""
        return base64.b64decode(self._ask("decrypt_data", "plaintext", ciphertext=ciphertext))

    def rewrap(self, ciphertext: str) -> str:
        """The same under the key's newest version; nobody sees what is in it."""
        return self._ask("rewrap_data", "ciphertext", ciphertext=ciphertext)

    def _ask(self, method: str, member: str, **said: Any) -> str:
        what = f"transit key {self.key_path}"
        token = read_token(self._folder)
        if token is None:
            raise VaultAway(f"{what}: this host is not signed in")
        with asking(what):
            transit = client_of(self._settings.server, token).secrets.transit
            answer = getattr(transit, method)(name=self._settings.key, mount_point=self._settings.mount, **said)
            found: str = answer["data"][member]
            return found
