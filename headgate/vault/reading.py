"""Reads secrets from Vault's key-value engines, of version 2 or 1, as the mount says."""

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import hvac.exceptions  # type: ignore[import-untyped]

from headgate.vault.client import asking
from headgate.vault.errors import VaultRefused


class Reader:
    """Remembers what is mounted where, until a read fails."""

    def __init__(self) -> None:
        self._mounts: dict[str, tuple[str, bool]] = {}

    def read(self, client: Any, path: str, fields: Collection[str]) -> dict[str, str]:
        """These fields of the secret at `path`, all of one version. Raises VaultError."""
        try:
            with asking(f"vault:{path}"):
                mount, is_second = self._mount_of(client, path)
                said = self._secret(client, mount, path.removeprefix(mount).strip("/"), is_second=is_second)
                return {field: _text(path, field, said) for field in sorted(fields)}
        except Exception:
            self._mounts.pop(path, None)
            raise

    def _mount_of(self, client: Any, path: str) -> tuple[str, bool]:
        """The mount, which may have several parts, and whether it keeps versions.

        As Vault's own command line asks: of every token that may do something below the path.
        """
        if found := self._mounts.get(path):
            return found
        told = client.adapter.get(f"/v1/sys/internal/ui/mounts/{quote(path)}")["data"]
        if told["type"] not in ("kv", "generic"):
            raise VaultRefused(f"vault:{path}: a mount of type {told['type']}, expected kv")
        mount = told["path"].strip("/")
        self._mounts[path] = mount, (told.get("options") or {}).get("version") == "2"
        return self._mounts[path]

    @staticmethod
    def _secret(client: Any, mount: str, path: str, *, is_second: bool) -> dict[str, Any]:
        if not is_second:
            first: dict[str, Any] = client.secrets.kv.v1.read_secret(path, mount_point=mount)["data"]
            return first
        try:
            answer = client.secrets.kv.v2.read_secret_version(path, mount_point=mount, raise_on_deleted_version=True)
        except hvac.exceptions.InvalidPath as error:
            if error.json and (error.json.get("data") or {}).get("metadata"):
                raise VaultRefused(f"vault:{mount}/{path}: its newest version is deleted") from None
            raise
        second: dict[str, Any] = answer["data"]["data"]
        return second


def _text(path: str, field: str, said: dict[str, Any]) -> str:
    if field not in said:
        raise VaultRefused(f"vault:{path}: no field {field}")
    value = said[field]
    if not isinstance(value, str):
        raise VaultRefused(f"vault:{path}#{field}: expected text")
    return value
