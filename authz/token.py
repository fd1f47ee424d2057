"""People who call with a token: from what it says, and what the directory says of them, to a caller.

Claims go first: where `tenant_claim` is there, it names the tenants, and `roles_claim` the role in them. Where it is
not, a person is of the tenants that the directory has for issuer and subject. In any case somebody whom the directory
has disabled is nobody, and a tenant that is closed is none.
"""

from base64 import b32encode
from collections.abc import Awaitable
from hashlib import sha256

from authz.caller import Caller
from authz.claims import Unacceptable, Verified
from authz.database_keys import Following
from authz.person import Person
from authz.tenants import closed
from authz.token_check import TokenCheck
from headgate.directory.directory import Directory
from headgate.directory.rows import UserEntry
from headgate.roles import Role, TenantRole
from headgate.snapshot import Snapshot

KEPT = 20_000  # people; about 10 MB

_Key = tuple[str, str, tuple[str, ...], Role | None]


class TokenCallers:
    """What one snapshot makes of tokens."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._check = TokenCheck(snapshot.issuers)
        self._role_is_claimed = {row.issuer for row in snapshot.issuers if row.roles_claim}
        self._directory: Directory | None = None
        self._version = -1
        self._people: dict[_Key, Person] = {}

    def find(self, token: str, following: Following, now: float) -> Person | str:
        """Whose token it is, or why it can't be used. `now` is epoch seconds."""
        try:
            who = self._check.verify(token, now)
        except Unacceptable as error:
            return str(error)
        found = self._person(who, following.directory)
        if found == "no_tenant" and following.catch_up():
            found = self._person(who, following.directory)
        return found

    def until_fetched(self, token: str, reason: str, now: float) -> Awaitable[None] | None:
        """What to wait for before `find` is tried again, after it gave that reason; None for nothing."""
        return self._check.until_fetched(token, reason, now)

    def _person(self, who: Verified, directory: Directory) -> Person | str:
        if directory is not self._directory or directory.version != self._version:
            # What is remembered is of one state of the directory: nothing that was taken away stays.
            self._directory, self._version = directory, directory.version
            self._people.clear()
        key = (who.issuer, who.subject, who.tenants, who.role)
        found = self._people.get(key)
        if found is None:
            caller = self._caller(who, directory)
            if isinstance(caller, str):
                return caller
            if len(self._people) >= KEPT:
                self._people.clear()
            found = self._people[key] = Person(caller)
        return found

    def _caller(self, who: Verified, directory: Directory) -> Caller | str:
        user = directory.user(who.issuer, who.subject)
        if user is not None and user.disabled:
            return "disabled_user"
        memberships = {
            tenant: role
            for tenant, role in self._roles(who, user, directory).items()
            if not closed(tenant, self._snapshot, directory)
        }
        is_admin = who.role == "admin" or (user is not None and user.platform_role == "admin")
        if not memberships and not is_admin:
            return "no_tenant"
        tenant, role = _alone(memberships)
        if is_admin:
            tenant, role = None, "admin"
        return Caller(
            "user",
            user.id if user else _id_of(who),
            tenant,
            role,
            memberships=memberships,
            source="token",
            directory=directory.version or None,
        )

    def _roles(self, who: Verified, user: UserEntry | None, directory: Directory) -> dict[str, TenantRole]:
        """The person's role in each tenant, whether there is such a tenant or not."""
        noted = directory.memberships(user.id) if user else {}
        if not who.tenants:
            return noted
        if who.role is not None and who.role != "admin":
            return dict.fromkeys(who.tenants, who.role)
        if who.issuer in self._role_is_claimed:
            return {tenant: role for tenant, role in noted.items() if tenant in who.tenants}
        return {tenant: noted.get(tenant, "developer") for tenant in who.tenants}


def _alone(memberships: dict[str, TenantRole]) -> tuple[str | None, Role]:
    """The tenant of somebody who has only one. Who has yet to choose may do nothing meanwhile."""
    if len(memberships) == 1:
        return next(iter(memberships.items()))
    return None, "read-only"


def _id_of(who: Verified) -> str:
    """For people who are not in the database: always the same, and another for each issuer's subject."""
    digest = sha256(f"{who.issuer}\n{who.subject}".encode()).digest()
    return f"oidc_{b32encode(digest).decode().lower()[:20]}"
