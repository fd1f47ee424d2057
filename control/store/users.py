"""People, and their roles in tenants. What is personal goes when a user is deleted: the tombstone has its id only."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, select

from control.store.failures import Missing
from control.store.paging import Page, Wish
from control.store.rows import Rows
from control.store.tables import MembershipRow, UserRow
from control.store.unit import Reader, Unit
from control.store.values import Membership, User

USERS = Rows(User, UserRow, "id")
MEMBERSHIPS = Rows(Membership, MembershipRow, "tenant_id", "user_id")
MOST_TENANTS = 100_000  # of one user
FORGOTTEN: dict[str, Any] = {
    "issuer": "",
    "subject": "",
    "email": None,
    "display_name": None,
    "platform_role": None,
    "disabled": True,
}


def find_user(reader: Reader, user_id: str) -> User | None:
    """By our id."""
    return USERS.find(reader, user_id)


def find_user_of(reader: Reader, issuer: str, subject: str) -> User | None:
    """By what a token says."""
    row = reader.row(USERS.living(UserRow.issuer == issuer, UserRow.subject == subject))
    return None if row is None else USERS.value_of(row)


def users_of(reader: Reader, user_ids: Iterable[str]) -> dict[str, User]:
    """Those of these ids that there are."""
    return {user.id: user for user in USERS.all(reader, UserRow.id.in_(list(user_ids)))}


def platform_admins(reader: Reader) -> tuple[User, ...]:
    """All of them, disabled ones too."""
    return USERS.all(reader, UserRow.platform_role == "admin")


def list_users(
    reader: Reader,
    wish: Wish,
    *,
    tenant_id: str | None = None,
    email: str | None = None,
    issuer: str | None = None,
    platform_role: str | None = None,
) -> Page[User]:
    """The oldest first; with `tenant_id` its members."""
    conditions: list[ColumnElement[bool]] = []
    if tenant_id is not None:
        members = select(MembershipRow.user_id).where(
            MembershipRow.tenant_id == tenant_id, MembershipRow.deleted_at.is_(None)
        )
        conditions.append(UserRow.id.in_(members))
    asked = ((UserRow.email, email), (UserRow.issuer, issuer), (UserRow.platform_role, platform_role))
    conditions += [column == value for column, value in asked if value is not None]
    return USERS.page(reader, wish, *conditions, order=("created_at", "id"))


def insert_user(unit: Unit, user: User) -> User:
    """Raises Exists, also when the issuer's subject is another user."""
    return USERS.insert(unit, user)


def update_user(unit: Unit, user: User) -> User:
    """Raises Missing, Stale or Exists."""
    return USERS.update(unit, user)


def delete_user(unit: Unit, user: User) -> User:
    """With the memberships. Raises Missing or Stale. The audit log is erasure's business."""
    MEMBERSHIPS.delete_some(unit, MOST_TENANTS, MembershipRow.user_id == user.id)
    return USERS.delete(unit, user, **FORGOTTEN)


def find_membership(reader: Reader, tenant_id: str, user_id: str) -> Membership | None:
    """None for a user who is no member."""
    return MEMBERSHIPS.find(reader, tenant_id, user_id)


def memberships_of(reader: Reader, user_id: str) -> tuple[Membership, ...]:
    """All of a user's, by tenant."""
    return MEMBERSHIPS.all(reader, MembershipRow.user_id == user_id)


def list_memberships(reader: Reader, tenant_id: str, wish: Wish, *, role: str | None = None) -> Page[Membership]:
    """All of a tenant's, by user."""
    conditions = [MembershipRow.tenant_id == tenant_id]
    if role is not None:
        conditions.append(MembershipRow.role == role)
    return MEMBERSHIPS.page(reader, wish, *conditions)


def insert_membership(unit: Unit, membership: Membership) -> Membership:
    """Raises Exists, or Missing where there is no such user."""
    if USERS.find(unit, membership.user_id) is None:
        raise Missing("there is no such user")
    return MEMBERSHIPS.insert(unit, membership)


def update_membership(unit: Unit, membership: Membership) -> Membership:
    """Raises Missing or Stale."""
    return MEMBERSHIPS.update(unit, membership)


def delete_membership(unit: Unit, membership: Membership) -> Membership:
    """Raises Missing or Stale."""
    return MEMBERSHIPS.delete(unit, membership)
