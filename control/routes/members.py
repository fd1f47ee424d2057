"""`/tenants/{tenant}/members`: people's roles in a tenant, also in one of gateway.yaml."""

from dataclasses import replace

from starlette.responses import Response

from control.bounds import bounds_of
from control.call import Call, Called, nothing, shown
from control.fields import Body, Flag, Shown, Time
from control.found_tenant import changeable_tenant, tenant_of
from control.keys import revoke_made_by
from control.lists import MOST_ON_A_PAGE, After, Limit
from control.masking import text_of
from control.problems import Problem, not_found
from control.roles import may_give
from control.routing import Routes
from control.store.paging import Wish
from control.store.unit import Reader
from control.store.users import (
    delete_membership,
    find_membership,
    find_user,
    insert_membership,
    list_memberships,
    update_membership,
    users_of,
)
from control.store.values import Membership, User
from headgate.roles import Role, TenantRole

routes = Routes("members")
_PATH = "/tenants/{tenant}/members/{user}"


class Member(Shown):
    """A person, and the role in this tenant."""

    user: str
    role: TenantRole
    email: str | None
    display_name: str | None
    disabled: bool
    created_at: Time
    updated_at: Time
    managed_by: str = "database"


class Members(Shown):
    """Some members, and the cursor of the next ones."""

    data: list[Member]
    next: str | None


class NewMember(Body):
    """The role."""

    role: TenantRole


@routes.serve("GET", "/tenants/{tenant}/members", "members.read", Members, fails=(400,))
def read_members(
    call: Called, tenant: str, limit: Limit = MOST_ON_A_PAGE, after: After = None, role: TenantRole | None = None
) -> Response:
    """By the people's ids."""
    with call.read() as reader:
        tenant_of(call, reader)
        page = list_memberships(reader, tenant, Wish(limit, after), role=role)
        people = users_of(reader, [row.user_id for row in page.items])
    data = [_member(row, people[row.user_id]) for row in page.items if row.user_id in people]
    return shown(Members(data=data, next=page.next)).response()


@routes.serve("PUT", _PATH, "members.write", Member, more={201: {"description": "A member now."}})
def set_member(call: Called, tenant: str, user: str, body: NewMember) -> Response:
    """Gives a member another role, and nobody gives more than they have. An admin makes people members (201), too."""
    _check_role(call, body.role)
    with call.change() as unit:
        changeable_tenant(call, unit)
        _check_bounds(call, unit, tenant)
        row = find_membership(unit, tenant, user)
        if row is None and not call.asker.is_admin:
            raise Problem(
                403, "role_not_allowed", "only a platform admin adds people: this is no member of the tenant"
            )
        person = find_user(unit, user)
        if person is None:
            raise not_found("user")
        if row is None:
            made = insert_membership(unit, Membership(tenant_id=tenant, user_id=user, role=body.role))
            unit.record("membership.create", "membership", user, tenant_id=tenant, after=made)
            return shown(_member(made, person), made.version, status=201).response()
        call.check_match(row.version)
        _check_role(call, row.role)
        made = row
        if row.role != body.role:
            made = update_membership(unit, replace(row, role=body.role))
            unit.record("membership.update", "membership", user, tenant_id=tenant, before=row, after=made)
    return shown(_member(made, person), made.version).response()


@routes.serve("DELETE", _PATH, "members.write", None, status=204)
def remove_member(call: Called, tenant: str, user: str, cascade: Flag | None = None) -> Response:
    """The person stays one of the platform's; keys of the tenant that they have made stay, too, unless `cascade`."""
    with call.change() as unit:
        changeable_tenant(call, unit)
        _check_bounds(call, unit, tenant)
        row = find_membership(unit, tenant, user)
        if row is None:
            raise not_found("member")
        call.check_match(row.version)
        delete_membership(unit, row)
        unit.record("membership.delete", "membership", user, tenant_id=tenant, before=row)
        if cascade:
            revoke_made_by(unit, tenant, f"user:{user}")
    return nothing().response()


def _check_role(call: Call, role: Role) -> None:
    if not may_give(call.asker.role, role):
        raise Problem(403, "more_than_yours", f"a {call.asker.role} may not make anybody {role}")


def _check_bounds(call: Call, reader: Reader, tenant: str) -> None:
    """A person has none of a key's bounds: an owner that such a key made would be more than the key."""
    if call.asker.is_admin or call.asker.identity.kind != "key":
        return
    if bounds_of(call, reader, tenant).is_key_bound:
        text = (
            "a key with endpoints, models, limits or an end of its own may not change members, who have none of these"
        )
        raise Problem(403, "more_than_yours", text)


def _member(row: Membership, person: User) -> Member:
    return Member(
        user=row.user_id,
        role=row.role,
        email=person.email,
        display_name=person.display_name,
        disabled=person.disabled,
        created_at=text_of(row.created_at),
        updated_at=text_of(row.updated_at),
    )
