"""What gateway.yaml says, as frozen types: durations in seconds, sizes in bytes, money as Decimal.

The shape only: rules between keys, references between entries and files on disk are the business of
`headgate.config.check`, the one way to build a `Gateway` from a file. docs/configuration.md documents every
field.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, PlainValidator, field_validator, model_validator

from headgate.config import addresses, bedrock, secret_refs, values
from headgate.config.adapters import Adapters
from headgate.config.addresses import Address, Url
from headgate.config.auth import Auth
from headgate.config.billing import Billing
from headgate.config.budgets import Budget
from headgate.config.database import database_url
from headgate.config.engines import Engine
from headgate.config.entry import (
    ApiVersion,
    AtOnce,
    Bytes,
    Count,
    Days,
    Entry,
    Expiry,
    FilePath,
    Flag,
    HeaderName,
    HttpUrl,
    KeyName,
    Listening,
    Memory,
    ModelName,
    Name,
    Priority,
    ProviderSecret,
    Region,
    RequestPath,
    Retention,
    Seconds,
    Secret,
    Sha256,
    Share,
    UpstreamModel,
)
from headgate.config.filter_hosts import FilterHosts
from headgate.config.limits import Limits, PlanLimits, TenantLimits
from headgate.config.prices import Prices, Pricing
from headgate.config.upstreams import USAGE_REPORTS, RetryBudget, UsageReport, one_cluster
from headgate.config.vault import Secrets
from headgate.kafka_url import kafka_url
from headgate.presets import PRESETS, defaults_of

Family = Literal["openai", "anthropic", "gemini", "bedrock", "cohere"]
Api = Literal[Family, "azure"]
RetryOn = Literal["connect", "reset", "5xx", "429", "timeout", "context_window"]
Strategy = Literal["order", "weighted", "cheapest", "fastest", "least_busy"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
SplitBy = Literal["user", "tenant"]


MAX_ATTEMPTS = 10
MAX_WAITING = 1000
FIRST_RESPONSES_VERSION = "2025-03-01-preview"  # of Azure's
Attempts = Annotated[int, PlainValidator(values.whole(1, MAX_ATTEMPTS))]


class Https(Entry):
    """TLS 1.3 for clients."""

    address: Listening
    cert: FilePath
    key: FilePath
    client_ca: FilePath | None = None
    require_client_cert: Flag = True
    http3: Flag = False


class Listen(Entry):
    """Where clients and operators connect."""

    http: Listening | None = None
    https: Https | None = None
    admin: Listening = Address("127.0.0.1", 9902)
    max_body_bytes: Bytes = Field(default=32 * 2**20, alias="max_body")
    max_connections: Count = 10_000
    max_memory_bytes: Memory = Field(default=2 * 2**30, alias="max_memory")
    headers_timeout_s: Seconds = Field(default=10.0, alias="headers_timeout")
    request_timeout_s: Seconds = Field(default=120.0, alias="request_timeout")


class Aws(Entry):
    """A key of AWS's that requests are signed with; with a `session_token`, one that somebody renews."""

    access_key_id: Secret
    secret_access_key: Secret
    session_token: Secret | None = None


class PoolKey(Entry):
    """One of several keys of a provider: as many requests go with it as its weight says."""

    key: ProviderSecret
    weight: Count = 1
    name: Name | None = None
    budget: Budget | None = None

    @property
    def called(self) -> str:
        """Its name in metrics, logs and records."""
        return self.name or secret_refs.name_of_reference(self.key)


class Provider(Entry):
    """An upstream: our own engines (`endpoints`) or somebody's API (`base_url`), never both."""

    api: Annotated[Api, PlainValidator(values.one_of("openai", "anthropic", "gemini", "bedrock", "cohere", "azure"))]
    preset: Annotated[str | None, PlainValidator(values.one_of(*PRESETS))] = None
    endpoints: list[HttpUrl] = Field(default=[], min_length=1)
    base_url: HttpUrl | None = None
    api_version: ApiVersion | None = None
    api_key: ProviderSecret | None = None
    api_keys: list[PoolKey] | None = Field(default=None, min_length=1)
    token: ProviderSecret | None = None
    region: Region | None = None
    aws: Aws | None = None
    health_check: RequestPath | None = None
    responses: Flag | None = None
    usage: Annotated[UsageReport, PlainValidator(values.one_of(*USAGE_REPORTS))] = "final"
    zone: Name = "external"
    forward_headers: list[HeaderName] = Field(default=[])
    ca: FilePath | None = None
    client_cert: FilePath | None = None
    client_key: FilePath | None = None
    connect_timeout_s: Seconds = Field(default=2.0, alias="connect_timeout")
    max_requests: AtOnce = 65_536
    retry_budget: RetryBudget = RetryBudget()
    budget: Budget | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_its_preset(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            return said
        defaults = defaults_of(said.get("preset"), said.get("api"))
        if "endpoints" in said:
            defaults.pop("base_url", None)
        if said.get("api") == "bedrock" and (root := bedrock.root_of(said.get("region"))):
            defaults["base_url"] = root
        return defaults | said

    @field_validator("endpoints")
    @classmethod
    def _one_cluster(cls, endpoints: list[Url]) -> list[Url]:
        return one_cluster(endpoints)

    @property
    def family(self) -> Family:
        """Whose bodies, streams and errors it speaks: Azure has OpenAI's, at other paths."""
        return "openai" if self.api == "azure" else self.api

    @property
    def is_engine(self) -> bool:
        """Whether it is one of `engines`: the workers say to which replica a request goes."""
        return False

    @property
    def is_signed(self) -> bool:
        """Whether Envoy signs its requests for AWS: Bedrock's, unless a key of Bedrock's own is their credential."""
        return self.api == "bedrock" and self.api_key is None and self.api_keys is None

    @property
    def speaks_responses(self) -> bool:
        """Whether it has OpenAI's Responses API, by what its entry says, or its preset, or its version of Azure's."""
        if self.family != "openai":
            return False
        if self.responses is not None:
            return self.responses
        if self.preset:
            return PRESETS[self.preset].responses
        return self.api_version is None or self.api_version >= FIRST_RESPONSES_VERSION

    @property
    def keeps_completions(self) -> bool:
        """Whether chat completions that it was told to store can be asked for: no preset's server has that, and
        Azure's API has it without a version."""
        return self.family == "openai" and self.preset is None and self.api_version is None

    @property
    def urls(self) -> list[Url]:
        """Where requests go, whichever key said so."""
        return [self.base_url] if self.base_url else self.endpoints


class Target(Entry):
    """One provider that can answer for a model. A lower `priority` is tried first."""

    provider: Name
    model: UpstreamModel
    priority: Priority = 0
    weight: Count = 1
    context_window: Count | None = None
    max_output_tokens: Count | None = None
    price: Prices | None = None
    variant: Name | None = None


class Timeouts(Entry):
    """How long a request may take; `headers_s` counts for streams only."""

    headers_s: Seconds = Field(default=10.0, alias="headers")
    idle_s: Seconds = Field(default=60.0, alias="idle")
    total_s: Seconds = Field(default=600.0, alias="total")


def _position_is_priority(targets: Any) -> Any:
    if not isinstance(targets, list):
        return targets
    return [
        {"priority": position, **target} if isinstance(target, dict) else target
        for position, target in enumerate(targets)
    ]


Chain = Annotated[list[Target], Field(min_length=1), BeforeValidator(_position_is_priority)]


class Split(Entry):
    """An A/B split: each user, or tenant, is of one variant for good; the shares are relative to their sum."""

    by: Annotated[SplitBy, PlainValidator(values.one_of("user", "tenant"))] = "user"
    variants: dict[Name, Count]


class Queue(Entry):
    """How many requests for a model wait at most while its engine is full, and for how long."""

    length: Annotated[int, PlainValidator(values.whole(1, MAX_WAITING))] = 100
    max_wait_s: Seconds = Field(default=30.0, alias="max_wait")


class Model(Entry):
    """A model as clients name it, and where it is served."""

    targets: Chain
    strategy: Annotated[Strategy, PlainValidator(values.one_of(*STRATEGIES))] = "order"
    split: Split | None = None
    retry_on: list[
        Annotated[
            RetryOn,
            PlainValidator(values.one_of("connect", "reset", "5xx", "429", "timeout", "context_window")),
        ]
    ] = Field(default=["connect", "reset", "5xx", "429"])
    max_attempts: Attempts = 3
    timeouts: Timeouts = Timeouts()
    drop_unsupported: Flag = False
    price: Prices | None = None
    default_max_tokens: Count | None = None
    hedge_s: Seconds | None = Field(default=None, alias="hedge")
    queue: Queue | None = None


class Plan(PlanLimits):
    """Limits that tenants share the numbers of; no `zones` is every zone."""

    zones: list[Name] | None = Field(default=None, min_length=1)
    pricing: Pricing | None = None


class Key(Entry):
    """A virtual key, known by its digest."""

    name: KeyName
    sha256: Sha256 = Field(repr=False)
    disabled: Flag = False
    expires: Expiry | None = None
    limits: Limits = Limits()


class Tenant(Entry):
    """Who may call, which models, with which keys."""

    plan: Name | None = None
    limits: TenantLimits = TenantLimits()
    models: list[ModelName]
    zones: list[Name] | None = Field(default=None, min_length=1)
    keys: list[Key] = Field(default=[])
    disabled: Flag = False
    targets: dict[ModelName, Chain] = Field(default={})
    pin_targets: Flag = False
    store_prompts: Flag = False
    usage_retention_days: Days | None = Field(default=None, alias="usage_retention")
    pricing: Pricing | None = None


class Services(Entry):
    """Standard parts that replace the embedded ones. The URLs may hold passwords, so none is in the repr."""

    counters: Annotated[
        str | None, PlainValidator(addresses.service_url("redis", "rediss", "valkey", "unix", several=True))
    ] = Field(default=None, repr=False)
    usage: Annotated[str | None, PlainValidator(addresses.store_url)] = Field(default=None, repr=False)
    database: Annotated[str | None, PlainValidator(database_url)] = Field(default=None, repr=False)
    events: Annotated[str | None, PlainValidator(kafka_url)] = Field(default=None, repr=False)
    vectors: Annotated[str | None, PlainValidator(addresses.service_url("http", "https"))] = Field(
        default=None, repr=False
    )
    objects: Annotated[str | None, PlainValidator(addresses.objects_url)] = Field(default=None, repr=False)
    secrets: Secrets | None = None
    filters: FilterHosts | None = None


class Spool(Entry):
    """The records of requests: when room is too short to take more, when a file is full, how long it stays."""

    min_free_bytes: Memory = Field(default=256 * 2**20, alias="min_free")
    rotate_bytes: Memory = Field(default=64 * 2**20, alias="rotate")
    keep_s: Retention = Field(default=86_400.0, alias="keep")


class Telemetry(Entry):
    """Where traces go, and which part of the requests leaves one."""

    otlp: HttpUrl
    sample: Share = 1.0


class Alerts(Entry):
    """Whom to tell of soft limits that were crossed; `secret` signs what is told."""

    webhook: HttpUrl
    secret: Secret


class Gateway(Entry):
    """The whole file. Engines are among the providers, too (`headgate.config.engine_providers`)."""

    listen: Listen = Listen(http=Address("127.0.0.1", 8080))
    providers: dict[Name, Provider] = Field(default={})
    engines: dict[Name, Engine] = Field(default={})
    models: dict[ModelName, Model]
    plans: dict[Name, Plan] = Field(default={})
    tenants: dict[Name, Tenant] = Field(default={})
    adapters: Adapters | None = None
    alerts: Alerts | None = None
    auth: Auth | None = None
    billing: Billing | None = None
    services: Services = Services()
    spool: Spool = Spool()
    telemetry: Telemetry | None = None
