"""What the directory tells of tenants, plans, keys, people, credits and adapters, and how a row lies in its file.

Rows are msgpack arrays: a field is only ever added at the end, with a default, so that a worker reads what another
version's control has written. There is no credential here, and of keys only digests. Times are epoch seconds.
`version` is the directory's of the row's last change.
"""

import re
from typing import Any, Literal

import msgspec

from headgate.credits import Ending
from headgate.roles import PlatformRole, Role, TenantRole

LimitsSubject = Literal["tenant", "user"]
AdapterState = Literal["uploaded", "validated", "staged", "live", "retired"]
ADAPTER_STATES: tuple[AdapterState, ...] = ("uploaded", "validated", "staged", "live", "retired")
ADAPTER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$"
ADAPTER_NAME_SAID = "1 to 63 letters, digits, '.', '_', '-' and ':', of which the first is a letter or digit"
SHARED = "shared"  # in a tenant's place: adapters of the platform, for the tenants that are granted them
Place = tuple[str, ...]


class KeyRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A virtual key, by its digest under a pepper. `endpoints` and `models` None: all that the tenant may.

    `limits` are as a key's in gateway.yaml. It works until `ends_at`. A platform admin's has no tenant.
    """

    id: str
    tenant: str | None
    digest: bytes
    pepper_id: str
    role: Role
    endpoints: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    limits: dict[str, Any] | None = None
    ends_at: float | None = None
    disabled: bool = False
    version: int = 0

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.id,)


class TenantEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tenant of the database. `zones` and `pricing` None: its plan's. `deleting`: its data is being removed.

    `pricing` is as below `tenants.<name>` in gateway.yaml.
    """

    id: str
    plan: str | None = None
    zones: tuple[str, ...] | None = None
    pin_targets: bool = False
    store_prompts: bool = False
    disabled: bool = False
    deleting: bool = False
    version: int = 0
    usage_retention_days: int | None = None
    pricing: dict[str, Any] | None = None

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.id,)


class PlanEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`limits` and `pricing` as below `plans.<name>` in gateway.yaml."""

    id: str
    limits: dict[str, Any]
    zones: tuple[str, ...] | None = None
    version: int = 0
    pricing: dict[str, Any] | None = None

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.id,)


class LimitsEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What takes the place of the plan's limits, for the tenant or one of its users."""

    tenant: str
    subject: LimitsSubject
    subject_id: str
    limits: dict[str, Any]
    version: int = 0

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.tenant, self.subject, self.subject_id)


class GrantEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A model that the tenant may use."""

    tenant: str
    model: str
    version: int = 0

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.tenant, self.model)


class UserEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person, as tokens name them."""

    id: str
    issuer: str
    subject: str
    platform_role: PlatformRole | None = None
    disabled: bool = False
    version: int = 0

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.id,)


class MembershipEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's role in a tenant."""

    tenant: str
    user: str
    role: TenantRole
    version: int = 0

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.tenant, self.user)


class CreditsEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tenant's account, of gateway.yaml's tenants too: headgate/credits.py says what the members are."""

    tenant: str
    since_day: int
    booked_nano: int
    ending: tuple[Ending, ...] = ()
    version: int = 0

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.tenant,)


class AdapterEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An adapter of a tenant's, or of SHARED. `base_model` is a model of gateway.yaml."""

    tenant: str
    name: str
    base_model: str
    version: int = 0

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.tenant, self.name)

    @property
    def alias(self) -> str:
        """What clients call it."""
        return alias_of(self.tenant, self.name)


class AdapterVersionEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A version of an adapter. `weight` is what a live one gets of the requests, in percent; `wanted_weight` what it
    is to get as soon as engines have it, None where nobody wants it to be live. `sha256` is that of its
    weights, `manifest_sha256` that of what was signed (headgate/adapters/cache.py asks for it).
    """

    tenant: str
    name: str
    number: int
    state: AdapterState
    sha256: str
    weight: int | None = None
    wanted_weight: int | None = None
    rank: int | None = None
    size_bytes: int = 0
    live_at: float | None = None
    manifest_sha256: str | None = None
    version: int = 0

    @property
    def place(self) -> Place:
        """What the row is known by among its kind."""
        return (self.tenant, self.name, str(self.number))

    @property
    def engine_name(self) -> str:
        """What engines know it as: another one for other weights."""
        return engine_name_of(self.tenant, self.name, self.number, self.sha256)


def alias_of(tenant: str, name: str) -> str:
    """What clients call an adapter."""
    return f"{tenant}/{name}"


def is_adapter_name(name: str) -> bool:
    """Whether an adapter may be called so: with its tenant and a slash it has to be the name of a model."""
    return re.fullmatch(ADAPTER_NAME, name) is not None


def is_shared(alias: str) -> bool:
    """Whether an adapter that is called so would be the platform's."""
    return alias.startswith(f"{SHARED}/")


def engine_name_of(tenant: str, name: str, number: int, sha256: str) -> str:
    """What engines call a version of one; never the same for other weights (vLLM keeps what it has under a name)."""
    return f"{tenant}/{name}@{number}-{sha256[:8]}"


Row = (
    KeyRow
    | TenantEntry
    | PlanEntry
    | LimitsEntry
    | GrantEntry
    | UserEntry
    | MembershipEntry
    | CreditsEntry
    | AdapterEntry
    | AdapterVersionEntry
)

KINDS: dict[str, type[Row]] = {
    "key": KeyRow,
    "tenant": TenantEntry,
    "plan": PlanEntry,
    "limits": LimitsEntry,
    "grant": GrantEntry,
    "user": UserEntry,
    "membership": MembershipEntry,
    "credits": CreditsEntry,
    "adapter": AdapterEntry,
    "adapter_version": AdapterVersionEntry,
}
_KIND_OF = {row: kind for kind, row in KINDS.items()}
_DECODERS: dict[str, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(row) for kind, row in KINDS.items()
}
# How many names a place has.
_PLACES = {
    "key": 1,
    "tenant": 1,
    "plan": 1,
    "limits": 3,
    "grant": 2,
    "user": 1,
    "membership": 2,
    "credits": 1,
    "adapter": 2,
    "adapter_version": 3,
}
_encoder = msgspec.msgpack.Encoder()


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is at one place now: an encoded row, or nothing."""

    kind: str
    place: Place
    row: bytes = b""


def change_to(row: Row) -> Change:
    """The row is as it is given here."""
    return Change(_KIND_OF[type(row)], row.place, _encoder.encode(row))


def gone(kind: type[Row], place: Place) -> Change:
    """There is no such row any more."""
    return Change(_KIND_OF[kind], place)


def row_of(change: Change) -> Row | None:
    """None for what is gone, and for kinds that a later version has. Raises msgspec.DecodeError."""
    decoder = _DECODERS.get(change.kind)
    if decoder is None:
        return None
    if not change.row:
        if len(change.place) != _PLACES[change.kind]:
            raise msgspec.ValidationError("a row's place is no place of its kind")
        return None
    row: Row = decoder.decode(change.row)
    if row.place != change.place:
        raise msgspec.ValidationError("a row is in another one's place")
    return row


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Up to where the database is known: its version, and the last entry of its audit log by then.

    A database that was restored, or whose standby took over without the last changes, has another hash at `seq`.
    """

    version: int
    seq: int
    hash: bytes
