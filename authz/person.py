"""A person, who may be of several tenants: as which of them a request goes on. Pure."""

from collections.abc import Sequence

from msgspec.structs import replace

from authz.caller import Caller, Known
from authz.refusal import OTHER_TENANT, Refusal
from authz.token_refusals import refused


class Person(Known):
    """`caller` has a tenant only where there is no choice."""

    __slots__ = ("_acting",)

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._acting: dict[str, Known] = {}

    def acting(self, named: Sequence[str]) -> Known | Refusal:
        """As whom a request that names these tenants goes on, or why it can't.

        Somebody who is an admin of the whole gateway acts for a tenant of theirs where they name it.
        """
        caller = self.caller
        if caller.tenant is not None:
            return self
        if not named:
            return self if caller.role == "admin" else refused("tenant_required")
        tenant = named[0]
        if tenant not in caller.memberships or any(other != tenant for other in named):
            return OTHER_TENANT
        found = self._acting.get(tenant)
        if found is None:
            member = replace(caller, tenant=tenant, role=caller.memberships[tenant])
            found = self._acting[tenant] = Known(member)
        return found
