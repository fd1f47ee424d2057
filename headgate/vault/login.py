"""Signs in to Vault and stays so: a token is renewed in time, and where it cannot be, there is a new one.

Whatever it is given (tokens, ids, JWTs) is read anew for each sign-in: somebody may have replaced it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from headgate.vault.client import asking, client_of
from headgate.vault.errors import VaultDenied, VaultError
from headgate.vault.server import Server

Read = Callable[[], str]
_RENEW_AT = 0.5  # of a token's time: then there is as much left to try again


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one signs in with. `mount` is where the way of signing in is mounted. `first` is a token, a role's id or
    its name; `second` a secret id or a JWT."""

    auth: Literal["token", "approle", "kubernetes"]
    mount: str
    first: Read
    second: Read | None = None


class Session:
    """One host's session; not for several threads. `clock` is monotonic."""

    def __init__(self, server: Server, credentials: Credentials, clock: Callable[[], float] = time.monotonic) -> None:
        self._credentials, self._clock = credentials, clock
        self.client: Any = client_of(server)
        self._renew_at: float | None = None  # None: a token that does not end
        self._ends_at: float | None = None
        self._is_renewable = False

    @property
    def token(self) -> str:
        """ "" before the first sign-in."""
        found: str = self.client.token or ""
        return found

    @property
    def due_s(self) -> float | None:
        """How long until the token has to be looked after; None for one that does not end."""
        return None if self._renew_at is None else max(0.0, self._renew_at - self._clock())

    def ensure(self) -> None:
        """Be signed in, with a token that lasts. Raises VaultError; a token that still works is kept then."""
        if not self.token:
            self.sign_in()
        elif self._renew_at is not None and self._clock() >= self._renew_at:
            self._prolong()

    def works(self) -> bool:
        """Whether Vault knows the token. Raises VaultAway."""
        try:
            with asking("looking up Vault's token"):
                self.client.auth.token.lookup_self()
        except VaultDenied:
            return False
        return True

    def sign_in(self) -> None:
        """With what it was given. Raises VaultError."""
        given, client = self._credentials, self.client
        what = f"signing in to Vault ({given.auth})"
        with asking(what):
            if given.auth == "token":
                self._take_given(what)
                return
            client.token = ""
            if given.auth == "approle":
                said = {"role_id": given.first(), "secret_id": given.second() if given.second else ""}
            else:
                said = {"role": given.first(), "jwt": given.second() if given.second else ""}
            answer = client.adapter.post(f"/v1/auth/{given.mount}/login", json=said)
            auth = answer["auth"]
            client.token = auth["client_token"]
            self._lasts(auth["lease_duration"], is_renewable=bool(auth["renewable"]))

    def _take_given(self, what: str) -> None:
        before = self.token
        self.client.token = self._credentials.first()
        try:
            data = self.client.auth.token.lookup_self()["data"]
        except Exception:
            self.client.token = before
            raise
        if data["ttl"] == 0 and data.get("expire_time"):
            raise VaultDenied(f"{what}: the token has expired")
        self._lasts(data["ttl"], is_renewable=bool(data.get("renewable")))

    def _prolong(self) -> None:
        """Renew the token; where that gains no time (its longest time is near), sign in anew."""
        try:
            if not self._is_renewable:
                raise VaultDenied("the token cannot be renewed")
            before = self._ends_at or 0.0
            with asking("renewing Vault's token"):
                auth = self.client.auth.token.renew_self()["auth"]
                self._lasts(auth["lease_duration"], is_renewable=bool(auth["renewable"]))
            if (self._ends_at or 0.0) > before + 0.1 * auth["lease_duration"]:
                return
        except VaultError as error:
            if not isinstance(error, VaultDenied):
                self._try_again_soon()
                raise
        try:
            self.sign_in()
        except VaultError:
            self._try_again_soon()
            raise

    def _lasts(self, lease_s: float, *, is_renewable: bool) -> None:
        now = self._clock()
        self._is_renewable = is_renewable
        self._ends_at = now + lease_s if lease_s else None
        self._renew_at = now + lease_s * _RENEW_AT if lease_s else None

    def _try_again_soon(self) -> None:
        """Half of what is left; a token whose time is over is no token."""
        now, left_s = self._clock(), max(0.0, (self._ends_at or 0.0) - self._clock())
        if left_s == 0.0:
            self.client.token = ""
        self._renew_at = now + max(0.5, left_s / 2)
