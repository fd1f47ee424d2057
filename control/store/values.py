"""What the store takes and gives: one frozen value per kind of row, with the fields of its table.

A value that is new has version 0 and no times; the store fills them in. `version` is the directory's version of the
row's last change: it is what an ETag is made of, and an update is refused when the row has another by then.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headgate.directory.rows import AdapterState, alias_of, engine_name_of
from headgate.roles import PlatformRole, Role, TenantRole

NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LimitsSubject = Literal["tenant", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A row of the directory; `deleted_at` makes it a tombstone."""

    version: int = 0
    created_at: dt.datetime = NEVER
    updated_at: dt.datetime = NEVER
    deleted_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant(Kept):
    """A tenant of the database. `zones` and `pricing` None: its plan's.

    `usage_retention_days` None: the usage store's. While `deleting_at` is set its data is being removed.
    """

    id: str
    display_name: str
    created_by: str
    plan: str | None = None
    zones: tuple[str, ...] | None = None
    pin_targets: bool = False
    store_prompts: bool = False
    usage_retention_days: int | None = None
    pricing: Mapping[str, Any] | None = None
    disabled: bool = False
    metadata: Mapping[str, str]
    deleting_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Kept):
    """`limits` and `pricing` as below `plans.<name>` in gateway.yaml."""

    id: str
    display_name: str
    limits: Mapping[str, Any]
    zones: tuple[str, ...] | None = None
    pricing: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Kept):
    """What takes the place of the plan's, as in `tenants.<name>.limits`, for the tenant or a user of its."""

    tenant_id: str
    subject: LimitsSubject
    subject_id: str
    limits: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Kept):
    """A model that the tenant may use."""

    tenant_id: str
    model: str
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Kept):
    """A person, known by `issuer` and `subject`."""

    id: str
    issuer: str
    subject: str
    email: str | None = None
    display_name: str | None = None
    platform_role: PlatformRole | None = None
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Kept):
    """A user's role in a tenant."""

    tenant_id: str
    user_id: str
    role: TenantRole


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey(Kept):
    """A key as it is stored. `endpoints` and `models` None: all that the tenant may; `limits` as a yaml key's."""

    id: str
    tenant_id: str | None
    name: str
    prefix: str
    digest: bytes
    pepper_id: str
    role: Role
    created_by: str
    endpoints: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    limits: Mapping[str, Any] | None = None
    metadata: Mapping[str, str]
    expires_at: dt.datetime | None = None
    valid_until: dt.datetime | None = None
    rotated_from: str | None = None
    disabled: bool = False

    @property
    def ends_at(self) -> dt.datetime | None:
        """When it stops working, if ever."""
        return min((end for end in (self.expires_at, self.valid_until) if end), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """What credentials are encrypted under, wrapped."""

    id: str
    wrapped: bytes
    wrapped_by: str
    created_at: dt.datetime = NEVER
    wrapped_at: dt.datetime = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential(Kept):
    """One secret of a provider's, encrypted; `field` is its place in the provider's entry, such as `api_key`."""

    provider: str
    field: str
    ciphertext: bytes
    nonce: bytes
    data_key_id: str | None
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditAccount(Kept):
    """As headgate/credits.py has it. `ending`: moments in ms since the epoch, ascending, and the most of each."""

    tenant_id: str
    since_day: int
    booked_nano: int
    ending: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter(Kept):
    """An adapter, called `<tenant_id>/<name>`. `last_number` is that of its newest version, which may be gone."""

    tenant_id: str
    name: str
    base_model: str
    created_by: str
    last_number: int = 0

    @property
    def alias(self) -> str:
        """What clients call it."""
        return alias_of(self.tenant_id, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterVersion(Kept):
    """A version of one. `weight` is what it gets while it is live, in percent, `wanted_weight` what it is to get once
    engines have it, `wanted_at` since when, `wanted_back` whether by a rollback. `sha256` is that of its weights,
    `manifest_sha256` that of what was signed, `facts` what that says. `staged_on` are the hosts whose engines have
    it, `failure` is why its last step failed. `alone_at` is when it came to have all requests last; None: never, or
    it was rolled back from.
    """

    tenant_id: str
    name: str
    number: int
    sha256: str
    size_bytes: int
    created_by: str
    state: AdapterState = "uploaded"
    manifest_sha256: str | None = None
    rank: int | None = None
    facts: Mapping[str, Any]
    weight: int | None = None
    wanted_weight: int | None = None
    wanted_at: dt.datetime | None = None
    wanted_back: bool = False
    staged_on: tuple[str, ...] = ()
    failure: str | None = None
    staged_at: dt.datetime | None = None
    live_at: dt.datetime | None = None
    alone_at: dt.datetime | None = None
    retired_at: dt.datetime | None = None

    @property
    def engine_name(self) -> str:
        """What engines know it as."""
        return engine_name_of(self.tenant_id, self.name, self.number, self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request with an Idempotency-Key was answered. Who keeps it seals what must not be read here."""

    key_digest: bytes
    tenant_id: str | None
    body_digest: bytes
    status: int
    answer: bytes
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A tenant's deletion, and the stores that are done; `tenant_id` is forgotten when it has finished."""

    id: str
    tenant_id: str | None
    fingerprint: bytes
    requested_by: str
    requested_at: dt.datetime
    done: tuple[str, ...] = ()
    finished_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that runs a gateway here: `id` is its state directory's for good, `name` is for people.

    What ended on it before `usage_until` is in the usage store `usage_place`; None: it has never said. `engines_at`:
    when its part `engines` said last of which models it loads adapters (`adapter_bases`), which of the versions
    that are waited for none of its engines is to have (`adapters_elsewhere`, by their manifests' SHA-256), and which
    of the live ones no replica has though it should, and why (`adapters_unserved`).
    """

    id: str
    name: str
    first_seen_at: dt.datetime = NEVER
    seen_at: dt.datetime = NEVER
    usage_until: dt.datetime | None = None
    usage_place: str | None = None
    engines_at: dt.datetime | None = None
    adapter_bases: tuple[str, ...] = ()
    adapters_elsewhere: tuple[str, ...] = ()
    adapters_unserved: Mapping[str, str] = field(default_factory=dict)


Row = (
    Tenant
    | Plan
    | Limits
    | Grant
    | User
    | Membership
    | VirtualKey
    | Credential
    | CreditAccount
    | Adapter
    | AdapterVersion
)
