"""Who calls, by whatever it is known: a key of gateway.yaml or of the database, a token, a certificate. Data only."""

from typing import Literal

import msgspec

from headgate.identity import CallerKind
from headgate.roles import Role, TenantRole

Source = Literal["file", "database", "token"]

# Whose requests go to models; the others look at things.
CALLING_ROLES: tuple[Role, ...] = ("owner", "developer")


class Caller(msgspec.Struct, frozen=True):
    """`id` is a key's, a user's, or the name in a certificate. `tenant` None: of none, or of `memberships`, by role.

    `endpoints` and `models` None: all that the tenant may. `directory` is the version of the directory that knows all
    of this, for whoever decides next; None for what it does not know of.
    """

    kind: CallerKind
    id: str
    tenant: str | None
    role: Role
    endpoints: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    memberships: dict[str, TenantRole] = {}
    source: Source = "file"
    directory: int | None = None


class Known:
    """A caller that was found, and the answer that Envoy gets for it, as soon as one was made."""

    __slots__ = ("answer", "caller")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.answer: bytes | None = None
