"""Whose a credential is: the one place where its kinds are told apart, once per snapshot. No IO of its own.

What verifies tokens and reads certificates takes 8 MiB and 70 ms to load: it is only where gateway.yaml has some.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from authz.caller import Known
from authz.database_keys import DatabaseKeys, Following
from authz.keys import KeyTable
from headgate.auth_secrets import AuthSecrets
from headgate.snapshot import Snapshot
from headgate.virtual_key import KEY, KEY_CHARS

if TYPE_CHECKING:
    from authz.client_certificates import ClientCallers
    from authz.token import TokenCallers


class Callers:
    """What one snapshot says of who may call."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.generation = snapshot.generation
        self.secrets = AuthSecrets(snapshot.auth)
        self._file = KeyTable(snapshot.keys)
        self._database = DatabaseKeys(snapshot, self.secrets)
        self._tokens = _token_callers(snapshot) if snapshot.issuers else None
        self._clients = _client_callers(snapshot) if snapshot.clients else None

    def find(self, credential: str, following: Following, now: float) -> Known | str:
        """Who it is, or one of headgate.refusals.AUTHZ_REASONS. `now` is epoch seconds."""
        if self._tokens and credential.count(".") == 2:  # a token of three parts; a key has no dot
            return self._tokens.find(credential, following, now)
        if len(credential) != KEY_CHARS:
            return "malformed_key"  # and not worth hashing
        # gateway.yaml first: what it says of a key counts, and its keys need no checksum.
        found = self._file.find(credential, now)
        if found is not None:
            return found
        return self._database.find(credential, following, now) if KEY.fullmatch(credential) else "malformed_key"

    def find_client(self, certificate: str, following: Following, now: float) -> Known | str | None:
        """Whose certificate it is that Envoy has verified; None for one that nobody is known by, and for none."""
        if not (self._clients and certificate):
            return None
        return self._clients.find(certificate, following.directory, now)

    def until_fetched(self, credential: str, reason: str, now: float) -> Awaitable[None] | None:
        """What may be waited for before a token that was refused for this reason is tried again; mostly nothing."""
        return self._tokens.until_fetched(credential, reason, now) if self._tokens else None


def _token_callers(snapshot: Snapshot) -> "TokenCallers":
    from authz.token import TokenCallers

    return TokenCallers(snapshot)


def _client_callers(snapshot: Snapshot) -> "ClientCallers":
    from authz.client_certificates import ClientCallers

    return ClientCallers(snapshot)
