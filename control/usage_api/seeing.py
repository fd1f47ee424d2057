"""Whose usage a caller sees: decided here, from what authz has signed, for every question alike. Pure.

A caller of a tenant sees that tenant, a key that is confined to models those alone. Only a platform admin who names
no tenant sees all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from control.roles import Asker, NotAllowed, admitted
from control.usage_api.refusal import Refused
from headgate.identity import Identity
from headgate.usage_questions import Dimension

Where = Mapping[Dimension, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Seen:
    """`tenant` None: everybody's; `models` None: of all models."""

    tenant: str | None
    models: tuple[str, ...] | None


def asker_of(identity: Identity, tenant_in_path: str | None) -> Asker:
    """The caller, if it may ask. Raises Refused."""
    if tenant_in_path is not None and tenant_in_path != identity.tenant:
        raise _other_tenant()
    try:
        if identity.tenant is None:
            return admitted(identity, "platform.usage.read", None)
        return admitted(identity, "usage.read", identity.tenant)
    except NotAllowed as refused:
        raise Refused(403, "role_not_allowed", str(refused)) from None


def seen_by(asker: Asker) -> Seen:
    """What an asker sees."""
    return Seen(asker.tenant, asker.identity.models)


def narrowed(seen: Seen, tenants: tuple[str, ...] | None, where: Where) -> tuple[str | None, Where] | None:
    """The tenant and the values that may be asked for; None where nothing is left. Raises Refused."""
    narrow = dict(where)
    tenant = seen.tenant
    if tenants is not None:
        if tenant is not None and set(tenants) != {tenant}:
            raise _other_tenant("tenant_ids")
        if len(tenants) == 1:
            tenant = tenants[0]
        else:
            narrow["tenant"] = tenants
    if seen.models is not None:
        wanted = narrow.get("model", seen.models)
        narrow["model"] = tuple(model for model in wanted if model in seen.models)
        if not narrow["model"]:
            return None
    return tenant, narrow


def _other_tenant(param: str | None = None) -> Refused:
    text = "the API key, token or certificate does not belong to the tenant that this request names"
    return Refused(403, "tenant_mismatch", text, param)
