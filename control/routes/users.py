"""`/users`: people, known by an issuer's subject. Theirs goes with them: see control/store/erasure.py."""

import re
from dataclasses import replace
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from starlette.responses import Response

from control.admins_left import check_admin_left
from control.call import Called, Done, nothing, shown
from control.fields import UNSAID, Body, DisplayName, Shown, Time, text, text_schema
from control.lists import MOST_ON_A_PAGE, After, Limit
from control.masking import text_of
from control.problems import not_found
from control.routing import Routes
from control.store.erasure import erase_user
from control.store.ids import new_id
from control.store.paging import Wish
from control.store.users import find_user, insert_user, list_users, memberships_of, update_user
from control.store.values import User as Row
from headgate.roles import PlatformRole, TenantRole

routes = Routes("users")
_ISSUER = "^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?$"
_EMAIL = "^[^@\\s\\x00-\\x1f\\x7f-\\x9f]+@[^@\\s\\x00-\\x1f\\x7f-\\x9f]+$"


def _issuer(value: Any) -> str:
    said = text(512)(value)
    if not re.fullmatch(_ISSUER[1:-1], said):
        raise ValueError("expected the URL that tokens have as `iss`")
    return said


def _email(value: Any) -> str:
    said = text(320)(value)
    if not re.fullmatch(_EMAIL[1:-1], said):
        raise ValueError("expected an address such as ada@example.org")
    return said


Issuer = Annotated[str, PlainValidator(_issuer), WithJsonSchema(text_schema(512) | {"pattern": _ISSUER})]
Subject = Annotated[str, PlainValidator(text(256)), WithJsonSchema(text_schema(256))]
Email = Annotated[str, PlainValidator(_email), WithJsonSchema(text_schema(320) | {"pattern": _EMAIL})]


class User(Shown):
    """A person. `platform_role` admin: of the platform."""

    id: str
    issuer: str
    subject: str
    email: str | None
    display_name: str | None
    platform_role: PlatformRole | None
    disabled: bool
    created_at: Time
    updated_at: Time
    managed_by: str = "database"


class UserInTenants(User):
    """A person, with the roles by tenant."""

    memberships: dict[str, TenantRole]


class Users(Shown):
    """Some people, and the cursor of the next ones."""

    data: list[User]
    next: str | None


class NewUser(Body):
    """A person to be."""

    issuer: Issuer
    subject: Subject
    email: Email | None = None
    display_name: DisplayName | None = None
    platform_role: PlatformRole | None = None
    disabled: bool = False


class UserChange(Body):
    """What is to be another; what is not named stays."""

    email: Email | None = UNSAID
    display_name: DisplayName | None = UNSAID
    platform_role: PlatformRole | None = UNSAID
    disabled: bool = UNSAID


@routes.serve("GET", "/users", "platform.users.read", Users, fails=(400,))
def read_users(
    call: Called,
    limit: Limit = MOST_ON_A_PAGE,
    after: After = None,
    tenant: str | None = None,
    email: str | None = None,
    issuer: str | None = None,
    platform_role: PlatformRole | None = None,
) -> Response:
    """The oldest first; with `tenant` its members."""
    with call.read() as reader:
        page = list_users(
            reader, Wish(limit, after), tenant_id=tenant, email=email, issuer=issuer, platform_role=platform_role
        )
    return shown(Users(data=[User(**_said(row)) for row in page.items], next=page.next)).response()


@routes.serve("POST", "/users", "platform.users.write", User, status=201)
def create_user(call: Called, body: NewUser) -> Response:
    """A person who will come with a token of the issuer."""

    def make(unit: Any) -> Done:
        made = insert_user(unit, Row(id=new_id("user"), **body.model_dump()))
        unit.record("user.create", "user", made.id, after=made)
        return shown(User(**_said(made)), made.version, status=201, location=f"/admin/v1/users/{made.id}")

    return call.once(make, tenant=None)


@routes.serve("GET", "/users/{user}", "platform.users.read", UserInTenants)
def read_user(call: Called, user: str) -> Response:
    """One person, with roles."""
    with call.read() as reader:
        row = find_user(reader, user)
        if row is None:
            raise not_found("user")
        roles = {one.tenant_id: one.role for one in memberships_of(reader, user)}
    return shown(UserInTenants(**_said(row), memberships=roles), row.version).response()


@routes.serve("PATCH", "/users/{user}", "platform.users.write", User)
def update_one_user(call: Called, user: str, body: UserChange) -> Response:
    """Issuer and subject are who it is: they stay."""
    with call.change() as unit:
        row = find_user(unit, user)
        if row is None:
            raise not_found("user")
        call.check_match(row.version)
        wanted = replace(row, **{name: getattr(body, name) for name in body.model_fields_set})
        made = row
        if wanted != row:
            made = update_user(unit, wanted)
            if made.disabled > row.disabled or (row.platform_role and not made.platform_role):
                check_admin_left(call, unit, user)
            unit.record("user.update", "user", made.id, before=row, after=made)
    return shown(User(**_said(made)), made.version).response()


@routes.serve("DELETE", "/users/{user}", "platform.users.write", None, status=204)
def delete_one_user(call: Called, user: str) -> Response:
    """With all memberships, and all that the audit log has of the person."""
    with call.read() as reader:
        row = find_user(reader, user)
        if row is None:
            raise not_found("user")
        check_admin_left(call, reader, user)
    call.check_match(row.version)
    erase_user(call.store, call.actor, user)
    call.service.deletions.overwrite_soon()
    return nothing().response()


def _said(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "issuer": row.issuer,
        "subject": row.subject,
        "email": row.email,
        "display_name": row.display_name,
        "platform_role": row.platform_role,
        "disabled": row.disabled,
        "created_at": text_of(row.created_at),
        "updated_at": text_of(row.updated_at),
    }
