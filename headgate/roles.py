"""The names of roles, as the database, the directory and authz write them. Nothing decides here."""

from typing import Literal, get_args

PlatformRole = Literal["admin"]  # of no tenant
TenantRole = Literal["owner", "developer", "analyst", "read-only"]
Role = Literal[PlatformRole, TenantRole]

TENANT_ROLES: tuple[TenantRole, ...] = get_args(TenantRole)
ROLES: tuple[Role, ...] = ("admin", *TENANT_ROLES)
