"""The directory in one process's memory: look-ups by what requests bring, kept up to date by changes.

No IO. Keys, limits and users stay encoded, a key takes about 600 bytes with its place in the tables, and are decoded
when they are asked for. Objects that were given out never change.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from headgate.credits import CreditsRow
from headgate.directory.rows import (
    SHARED,
    AdapterEntry,
    AdapterVersionEntry,
    Change,
    CreditsEntry,
    GrantEntry,
    KeyRow,
    LimitsEntry,
    MembershipEntry,
    PlanEntry,
    Row,
    TenantEntry,
    UserEntry,
    row_of,
)
from headgate.roles import TenantRole

T = TypeVar("T")


class Adapter(NamedTuple):
    """An adapter and all of its versions, the oldest first."""

    entry: AdapterEntry
    versions: tuple[AdapterVersionEntry, ...]


_key = msgspec.msgpack.Decoder(KeyRow).decode
_entry = msgspec.msgpack.Decoder(LimitsEntry).decode
_user = msgspec.msgpack.Decoder(UserEntry).decode


class Directory:
    """Of the database's `version`; 0 is an empty one. `before`: see `settle`."""

    def __init__(
        self, version: int = 0, rows: Iterable[Iterable[Change]] = (), before: "Directory | None" = None
    ) -> None:
        self.version = version
        self._shift = 0
        self._floor = version
        self._changed: dict[str, int] = {}  # tenants, and when
        self._changed_plans: dict[str, int] = {}
        self._changed_shared = version
        self._keys: dict[bytes, bytes] = {}  # encoded, by digest
        self._digests: dict[str, bytes] = {}  # by key id
        self._limited: dict[str, dict[str, bytes]] = {}  # digests of keys with limits, by tenant and key id
        self._tenants: dict[str, TenantEntry] = {}
        self._plans: dict[str, PlanEntry] = {}
        self._limits: dict[str, bytes] = {}  # encoded
        self._user_limits: dict[str, dict[str, bytes]] = {}  # encoded, by tenant and user id
        self._models: dict[str, tuple[str, ...]] = {}
        self._credits: dict[str, CreditsRow] = {}
        self._adapters: dict[str, dict[str, AdapterEntry]] = {}  # by tenant and name
        self._versions: dict[tuple[str, str], dict[str, AdapterVersionEntry]] = {}  # by both, and number
        self._users: dict[tuple[str, str], bytes] = {}  # encoded, by issuer and subject
        self._names: dict[str, tuple[str, str]] = {}  # issuer and subject, by user id
        self._roles: dict[str, dict[str, TenantRole]] = {}  # by user id and tenant
        for some in rows:
            self.take(version, some)
        self.settle(before)

    def settle(self, before: "Directory | None" = None) -> None:
        """All that has been taken so far is of one state, `before` the directory that it takes the place of.

        `tenant_version` goes on above that one's numbers, also where the database has gone back to an older state.
        """
        self._shift = max(0, before.highest + 1 - self.version) if before else 0
        self._floor = self.highest
        self._changed.clear()
        self._changed_plans.clear()
        self._changed_shared = self._floor

    @property
    def highest(self) -> int:
        """No `tenant_version` is above it."""
        return self.version + self._shift

    def key(self, digest: bytes) -> KeyRow | None:
        """The key with that digest, usable or not."""
        found = self._keys.get(digest)
        return None if found is None else _key(found)

    def limited_keys(self, tenant: str) -> dict[str, dict[str, Any]]:
        """The limits of those of a tenant's keys that have some, by key id."""
        found = {key: _key(self._keys[digest]) for key, digest in self._limited.get(tenant, {}).items()}
        return {key: row.limits for key, row in found.items() if row.limits is not None}

    def key_named(self, key_id: str) -> KeyRow | None:
        """The key with that id, usable or not."""
        digest = self._digests.get(key_id)
        found = None if digest is None else self.key(digest)
        return found if found is not None and found.id == key_id else None

    def tenants(self) -> Iterable[str]:
        """The names of all that are in the database."""
        return self._tenants.keys()

    def tenant(self, tenant: str) -> TenantEntry | None:
        """None for one that is not in the database; gateway.yaml may have it."""
        return self._tenants.get(tenant)

    def plan(self, plan: str) -> PlanEntry | None:
        """None for one that is not in the database; gateway.yaml may have it."""
        return self._plans.get(plan)

    def models(self, tenant: str) -> tuple[str, ...]:
        """What the tenant was granted, by name."""
        return self._models.get(tenant, ())

    def credits(self, tenant: str) -> CreditsRow | None:
        """The tenant's account; None where nothing was booked for it."""
        return self._credits.get(tenant)

    def adapters(self, tenant: str) -> list[Adapter]:
        """The tenant's own, by name; of SHARED the platform's."""
        found = self._adapters.get(tenant, {})
        return [Adapter(found[name], self._versions_of(tenant, name)) for name in sorted(found)]

    def all_adapters(self) -> list[Adapter]:
        """Those of all tenants, and the platform's."""
        return [one for tenant in sorted(self._adapters) for one in self.adapters(tenant)]

    def limits(self, tenant: str) -> LimitsEntry | None:
        """The tenant's own."""
        found = self._limits.get(tenant)
        return None if found is None else _entry(found)

    def user_limits(self, tenant: str) -> dict[str, dict[str, Any]]:
        """Those of the tenant's users, by user id."""
        return {user: _entry(found).limits for user, found in self._user_limits.get(tenant, {}).items()}

    def user(self, issuer: str, subject: str) -> UserEntry | None:
        """The person whom a token names."""
        found = self._users.get((issuer, subject))
        return None if found is None else _user(found)

    def memberships(self, user_id: str) -> dict[str, TenantRole]:
        """The user's roles, by tenant."""
        return dict(self._roles.get(user_id, ()))

    def tenant_version(self, tenant: str) -> int:
        """Another, higher number after each change of the tenant, its plan, grants, limits, limited keys, credits or
        adapters, those that are shared among them.

        The directory's version of that change, or a later one; good for this process alone.
        """
        entry = self._tenants.get(tenant)
        of_plan = self._changed_plans.get(entry.plan, 0) if entry and entry.plan else 0
        return max(self._floor, self._changed.get(tenant, 0), of_plan, self._changed_shared)

    def take(self, version: int, changes: Iterable[Change]) -> None:
        """All of these changes, which make the directory that version's. Raises msgspec.DecodeError; then none."""
        read = [(change, row_of(change)) for change in changes]
        self.version = version
        for change, row in read:
            if take := _TAKES.get(change.kind):
                take(self, change, row)

    def _take_key(self, change: Change, row: KeyRow | None) -> None:
        (key_id,) = change.place
        old_digest = self._digests.pop(key_id, None)
        if old_digest is not None and (old := self.key(old_digest)) and old.id == key_id:
            del self._keys[old_digest]
            if old.limits is not None and old.tenant is not None:
                _drop(self._limited, old.tenant, key_id)
                self._changed[old.tenant] = self.highest
        if row is None:
            return
        self._keys[row.digest] = change.row
        self._digests[row.id] = row.digest
        if row.limits is not None and row.tenant is not None:
            self._limited.setdefault(row.tenant, {})[row.id] = row.digest
            self._changed[row.tenant] = self.highest

    def _take_tenant(self, change: Change, row: TenantEntry | None) -> None:
        _put(self._tenants, change.place[0], row)
        self._changed[change.place[0]] = self.highest

    def _take_plan(self, change: Change, row: PlanEntry | None) -> None:
        _put(self._plans, change.place[0], row)
        self._changed_plans[change.place[0]] = self.highest

    def _take_limits(self, change: Change, row: LimitsEntry | None) -> None:
        tenant, subject, subject_id = change.place
        self._changed[tenant] = self.highest
        if subject == "tenant":
            _put(self._limits, tenant, change.row or None)
        elif row is None:
            _drop(self._user_limits, tenant, subject_id)
        else:
            self._user_limits.setdefault(tenant, {})[subject_id] = change.row

    def _take_grant(self, change: Change, row: GrantEntry | None) -> None:
        tenant, model = change.place
        self._changed[tenant] = self.highest
        others = [other for other in self._models.get(tenant, ()) if other != model]
        models = sorted(others if row is None else [*others, sys.intern(model)])
        _put(self._models, tenant, tuple(models) or None)

    def _take_credits(self, change: Change, row: CreditsEntry | None) -> None:
        (tenant,) = change.place
        self._changed[tenant] = self.highest
        _put(self._credits, tenant, CreditsRow(row.since_day, row.booked_nano, row.ending) if row else None)

    def _take_adapter(self, change: Change, row: AdapterEntry | None) -> None:
        tenant, name = change.place
        if row is None:
            _drop(self._adapters, tenant, name)
        else:
            self._adapters.setdefault(tenant, {})[name] = row
        self._note_adapter(tenant)

    def _take_adapter_version(self, change: Change, row: AdapterVersionEntry | None) -> None:
        tenant, name, number = change.place
        known = self._versions.setdefault((tenant, name), {})
        known.pop(number, None)
        if row is not None:
            known[number] = row
        elif not known:
            del self._versions[tenant, name]
        self._note_adapter(tenant)

    def _note_adapter(self, tenant: str) -> None:
        self._changed[tenant] = self.highest
        if tenant == SHARED:  # anybody may have it
            self._changed_shared = self.highest

    def _versions_of(self, tenant: str, name: str) -> tuple[AdapterVersionEntry, ...]:
        found = self._versions.get((tenant, name), {}).values()
        return tuple(sorted(found, key=lambda one: one.number))

    def _take_user(self, change: Change, row: UserEntry | None) -> None:
        (user_id,) = change.place
        old_name = self._names.pop(user_id, None)
        if old_name is not None and (old := self.user(*old_name)) and old.id == user_id:
            del self._users[old_name]
        if row is not None:
            name = (sys.intern(row.issuer), row.subject)
            self._users[name] = change.row
            self._names[user_id] = name

    def _take_membership(self, change: Change, row: MembershipEntry | None) -> None:
        tenant, user_id = change.place
        if row is None:
            _drop(self._roles, user_id, tenant)
        else:
            self._roles.setdefault(user_id, {})[sys.intern(tenant)] = row.role


_TAKES = cast(
    "dict[str, Callable[[Directory, Change, Row | None], None]]",
    {
        "key": Directory._take_key,
        "tenant": Directory._take_tenant,
        "plan": Directory._take_plan,
        "limits": Directory._take_limits,
        "grant": Directory._take_grant,
        "user": Directory._take_user,
        "membership": Directory._take_membership,
        "credits": Directory._take_credits,
        "adapter": Directory._take_adapter,
        "adapter_version": Directory._take_adapter_version,
    },
)


def _put(table: dict[str, T], name: str, value: T | None) -> None:
    if value is None:
        table.pop(name, None)
    else:
        table[name] = value


def _drop(table: dict[str, dict[str, Any]], outer: str, inner: str) -> None:
    inside = table.get(outer)
    if inside is not None:
        inside.pop(inner, None)
        if not inside:
            del table[outer]
