"""`/me`: who asks. `/roles`: what each role may."""

from starlette.responses import Response

from control.call import Called, shown
from control.fields import Shown
from control.roles import ACTIONS, Reach
from control.routing import Routes
from headgate.identity import CallerKind
from headgate.roles import ROLES, Role, TenantRole

routes = Routes("me")


class Me(Shown):
    """The caller. `tenant` and `role` are its own; `memberships` are a person's roles by tenant."""

    kind: CallerKind
    id: str
    tenant: str | None
    role: Role
    memberships: dict[str, TenantRole]


class Permission(Shown):
    """An action. A role that is not in `roles` may not; `own`: what one has made, or the tenants one is of."""

    action: str
    text: str
    roles: dict[str, Reach]


class Permissions(Shown):
    """The table of control/roles.py."""

    data: list[Permission]
    next: None = None


@routes.serve("GET", "/me", "me.read", Me)
def read_me(call: Called) -> Response:
    """Who asks."""
    identity = call.asker.identity
    said = Me(
        kind=identity.kind,
        id=identity.id,
        tenant=identity.tenant,
        role=identity.role,
        memberships=identity.memberships,
    )
    return shown(said).response()


@routes.serve("GET", "/roles", "roles.read", Permissions)
def list_roles() -> Response:
    """What each role may do."""
    rows = [
        Permission(
            action=name, text=action.text, roles={role: action.reach[role] for role in ROLES if role in action.reach}
        )
        for name, action in ACTIONS.items()
    ]
    return shown(Permissions(data=rows)).response()
