"""Who may do what: one table of actions by roles. Pure.

Each route of the admin API names its action, and `admitted` decides, from the caller and the tenant in the path
alone: nothing is looked up, so that an answer never says what exists. `OWN` is what the caller has made, or the
tenants that the caller is of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headgate.identity import Identity
from headgate.roles import ROLES, Role

Reach = Literal["all", "own"]
ALL: Reach = "all"
OWN: Reach = "own"

_EVERYBODY: Mapping[Role, Reach] = dict.fromkeys(ROLES, ALL)
_PLATFORM: Mapping[Role, Reach] = {"admin": ALL}
_OWNERS: Mapping[Role, Reach] = {"admin": ALL, "owner": ALL}
_DEVELOPERS: Mapping[Role, Reach] = {"admin": ALL, "owner": ALL, "developer": ALL}
_MAKERS: Mapping[Role, Reach] = {"admin": ALL, "owner": ALL, "developer": OWN}


@dataclass(frozen=True, slots=True)
class Action:
    """What it is, and which roles may: others may not. `of_tenant`: its routes have a tenant in their path.

    `of_anybody`: also people who have a role nowhere yet.
    """

    text: str
    reach: Mapping[Role, Reach]
    of_tenant: bool = True
    of_anybody: bool = False


ACTIONS: Mapping[str, Action] = {
    "me.read": Action("ask who one is", _EVERYBODY, of_tenant=False, of_anybody=True),
    "roles.read": Action("read this table", _EVERYBODY, of_tenant=False, of_anybody=True),
    "tenants.list": Action(
        "list tenants", {**dict.fromkeys(ROLES, OWN), "admin": ALL}, of_tenant=False, of_anybody=True
    ),
    "tenants.create": Action("create tenants", _PLATFORM, of_tenant=False),
    "tenants.read": Action("read a tenant", _EVERYBODY),
    "tenants.update": Action("change a tenant: plan, pricing, zones, settings", _PLATFORM),
    "tenants.delete": Action("delete a tenant and all that it has", _PLATFORM),
    "grants.read": Action("list the models that a tenant may use", _EVERYBODY),
    "grants.write": Action("grant models, and take them back", _PLATFORM),
    "adapters.read": Action("list adapters and their versions", _EVERYBODY),
    "adapters.write": Action("push, promote, roll back, retire and delete adapters", _DEVELOPERS),
    "limits.read": Action("read a tenant's and its users' limits", _EVERYBODY),
    "limits.write": Action("set limits in place of the plan's", _PLATFORM),
    "usage.read": Action("read what is used of the limits now", _EVERYBODY),
    "keys.read": Action("list keys", {**_MAKERS, "read-only": ALL}),
    "keys.create": Action("make keys", _MAKERS),
    "keys.update": Action("change, disable and enable keys", _MAKERS),
    "keys.rotate": Action("replace keys by new ones", _MAKERS),
    "keys.revoke": Action("revoke keys", _MAKERS),
    "members.read": Action("list members and their roles", {**_OWNERS, "read-only": ALL}),
    "members.write": Action("change members' roles, remove members; only an admin adds them", _OWNERS),
    "audit.read": Action("read a tenant's audit log", {**_OWNERS, "analyst": ALL}),
    "platform.usage.read": Action("read what all tenants have used", _PLATFORM, of_tenant=False),
    "invoices.read": Action("read a tenant's invoices", {**_OWNERS, "analyst": ALL}),
    "credits.read": Action("read a tenant's credits", {**_OWNERS, "analyst": ALL}),
    "credits.write": Action("book credits for a tenant", _PLATFORM),
    "platform.keys.read": Action("list the platform's keys", _PLATFORM, of_tenant=False),
    "platform.keys.write": Action("make, change and revoke the platform's keys", _PLATFORM, of_tenant=False),
    "platform.users.read": Action("list people", _PLATFORM, of_tenant=False),
    "platform.users.write": Action("create, change and delete people", _PLATFORM, of_tenant=False),
    "platform.plans.read": Action("list plans", _PLATFORM, of_tenant=False),
    "platform.plans.write": Action(
        "create, change and delete plans, with their limits and pricing", _PLATFORM, of_tenant=False
    ),
    "platform.models.read": Action("list models and their targets", _PLATFORM, of_tenant=False),
    "platform.providers.read": Action("list providers", _PLATFORM, of_tenant=False),
    "platform.credentials.write": Action("store and remove providers' credentials", _PLATFORM, of_tenant=False),
    "platform.audit.read": Action("read, export and verify the whole audit log", _PLATFORM, of_tenant=False),
    "platform.hosts.read": Action("list hosts", _PLATFORM, of_tenant=False),
    "platform.hosts.write": Action(
        "remove hosts that are gone for good, accept what the usage store has", _PLATFORM, of_tenant=False
    ),
    "platform.invoices.read": Action("read all invoices", _PLATFORM, of_tenant=False),
    "platform.invoices.write": Action("issue invoices and credit notes", _PLATFORM, of_tenant=False),
    "platform.credits.read": Action("list what was booked for all tenants", _PLATFORM, of_tenant=False),
    "platform.deletions.read": Action("see how far deletions are", _PLATFORM, of_tenant=False),
}


class NotAllowed(Exception):  # noqa: N818 - an answer to the caller
    """No role of the caller's may do this here. The text names no object."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A caller that may do what it asks for: `role` is the one by which it may, in `tenant` if the path has one."""

    identity: Identity
    tenant: str | None
    role: Role
    reach: Reach

    @property
    def principal(self) -> str:
        """By what objects and kept answers are known to be this caller's: `key:key_abc…`."""
        return f"{self.identity.kind}:{self.identity.id}"

    @property
    def is_admin(self) -> bool:
        """Whether it asks as a platform admin, whom no tenant's bounds hold."""
        return self.role == "admin"


def is_platform_admin(identity: Identity) -> bool:
    """A caller of no tenant, with the platform's role."""
    return identity.role == "admin" and identity.tenant is None


def role_in(identity: Identity, tenant: str) -> Role | None:
    """The caller's role in a tenant; None is none."""
    if is_platform_admin(identity):
        return "admin"
    if identity.tenant == tenant and identity.role != "admin":
        return identity.role
    return identity.memberships.get(tenant)


def tenants_of(identity: Identity) -> frozenset[str]:
    """The tenants that a caller has a role in; a platform admin is of none."""
    own = {identity.tenant} if identity.tenant is not None and identity.role != "admin" else set()
    return frozenset(own | identity.memberships.keys())


def admitted(identity: Identity, name: str, tenant: str | None) -> Asker:
    """The caller, if it may. Raises NotAllowed, whether there is such a tenant or not."""
    action = ACTIONS[name]
    roles = _roles(identity, action, tenant)
    for role in roles:
        if role in action.reach:
            return Asker(identity, tenant, role, action.reach[role])
    if tenant is not None and not roles:
        raise NotAllowed("you have no role in this tenant")
    allowed = ", ".join(role for role in ROLES if role in action.reach)
    raise NotAllowed(f"expected one of the roles {allowed} to {action.text}")


def _roles(identity: Identity, action: Action, tenant: str | None) -> list[Role]:
    """Those that count for it, the highest first."""
    if is_platform_admin(identity):
        return ["admin"]
    if tenant is not None:
        role = role_in(identity, tenant)
        return [] if role is None else [role]
    anywhere = {role_in(identity, own) for own in tenants_of(identity)}
    least: set[Role] = {"read-only"} if action.of_anybody else set()
    return [role for role in ROLES if role in anywhere | least]


def may_give(giver: Role, role: Role) -> bool:
    """Whether a role may make principals with another: only with what it may do itself, as far or less far."""
    if giver == "admin":
        return True
    if role == "admin":
        return False
    return all(
        giver in action.reach and (action.reach[giver] == ALL or action.reach[role] == OWN)
        for action in ACTIONS.values()
        if role in action.reach
    )
