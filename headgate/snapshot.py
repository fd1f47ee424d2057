"""What the workers know: the checked gateway.yaml as tables for look-ups, one file per accepted generation.

Workers read this and never gateway.yaml, so an edit that is broken or half-written cannot reach a worker that
restarts. The file holds digests of keys and no secret. Nothing here decides on a request.
"""

import os
from pathlib import Path

import msgspec

from headgate.clients import ClientRow
from headgate.contract import PEPPER, PRICES, SERVICE_KEY
from headgate.credits import CreditsRow
from headgate.engine_rows import EngineRow
from headgate.issuers import IssuerRow
from headgate.limits import GivenLimits, LimitsRow
from headgate.prices import PriceList, PriceRow, TermsRow, write_prices
from headgate.purses import Purse


class Key(msgspec.Struct, frozen=True):
    """A virtual key, known by the SHA-256 of the whole key. `expires` is in seconds since the epoch."""

    digest: bytes
    key_id: str
    tenant: str
    disabled: bool = False
    expires: float | None = None


class TargetRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one attempt can go. `endpoints` counts the identical replicas behind the cluster.

    `api` is whose bodies the provider speaks: that of Azure is OpenAI's, and its paths are the edge's business. `usd`
    is what a million tokens cost, of a prompt and of an answer, where the order goes by it; `usd_later` has that from
    some moments (Unix ms) on.
    `responses`: whether it speaks OpenAI's Responses API too. `stored`: whether it has chat completions again that it
    was told to store. `purse`: whose budget counts, if there is one. `spread`: an engine whose replicas we rank.
    `engine`: whose slots its requests take, if any.
    Of a provider with `api_keys` there is one row for each `key`. Those of one target have the same number `pool`,
    which no other target of the list has; 0 is a target with one row.
    `has_adapters`: it is of an engine that loads tenants' adapters. One that asks for such has the engine's name of a
    version for its `model`, and for its `base` the model that the adapter changes.
    """

    provider: str
    api: str
    cluster: str
    model: str
    usage: str
    priority: int
    weight: int
    endpoints: int
    context_window: int | None = None
    max_output_tokens: int | None = None
    preset: str | None = None
    usd: tuple[float, float] | None = None
    usd_later: tuple[tuple[int, float, float], ...] = ()
    variant: str | None = None
    responses: bool = False
    stored: bool = False
    key: str | None = None
    key_weight: int = 1
    pool: int = 0
    purse: Purse | None = None
    spread: bool = False
    has_adapters: bool = False
    base: str | None = None
    engine: str = ""

    @property
    def base_model(self) -> str:
        """What it is upstream without an adapter: how prompts are counted, and what providers take."""
        return self.base or self.model

    @property
    def counted_as(self) -> tuple[str, str]:
        """Whose tokenizer a prompt goes through there: the API's, and a model's name."""
        return self.api, self.base_model

    def is_sent_like(self, other: "TargetRow") -> bool:
        """Whether both are sent the same body: one target twice, or with another of its keys."""
        return self == other or self.pool == other.pool != 0


class SplitRow(msgspec.Struct, frozen=True):
    """An A/B split: by whom, and the share of each variant."""

    by: str
    variants: dict[str, int]


class QueueRow(msgspec.Struct, frozen=True):
    """How many requests for a model wait at most for a slot of its engine, and how long."""

    length: int
    max_wait_ms: int


class SlotsRow(msgspec.Struct, frozen=True):
    """Of an engine whose requests take some: its cluster, and how many there are while its replicas say nothing."""

    cluster: str
    capacity: int


class ModelRow(msgspec.Struct, frozen=True):
    """What all tenants share of a model: its route for streams and the one for whole answers, times in ms.

    `default_max_tokens` is what an answer may hold where neither the client nor the target says. `hedge_ms`: a stream
    that has not begun by then is asked for a second time, on the route `hedged_profile`. `wait_ms`: how long a
    request may wait for its adapter and for its engine before. `engines`: those that its requests may hold a slot of.
    """

    stream_profile: str
    whole_profile: str
    max_attempts: int
    headers_ms: int
    total_ms: int = 600_000
    wait_ms: int = 0
    drop_unsupported: bool = False
    price: PriceRow | None = None
    default_max_tokens: int = 4096
    hedge_ms: int | None = None
    hedged_profile: str = ""
    strategy: str = "order"
    has_pools: bool = False  # whether some target has a row for each of its provider's keys
    split: SplitRow | None = None
    queue: QueueRow | None = None
    engines: tuple[str, ...] = ()

    @property
    def longest_ms(self) -> int:
        """How long a request may take, the time that it waits included."""
        return self.total_ms + self.wait_ms


class SpoolRow(msgspec.Struct, frozen=True):
    """When requests are refused for want of room, when a spool file is rotated, how long it is kept after."""

    min_free_bytes: int = 256 * 2**20
    rotate_bytes: int = 64 * 2**20
    keep_s: float = 86_400.0


class AlertsRow(msgspec.Struct, frozen=True):
    """Where to tell of soft limits that were crossed, signed with what the file `secret` (below the state) holds."""

    webhook: str
    secret: str


class AuthRow(msgspec.Struct, frozen=True):
    """The files below the state directory that hold the peppers and the service key (headgate/auth_files.py)."""

    pepper: str = str(PEPPER)
    previous_peppers: tuple[str, ...] = ()
    service_key: str = str(SERVICE_KEY)


class VersionRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A live version of an adapter, by its name on engines; `weight` is its share in percent."""

    engine_name: str
    weight: int


class AliasRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An adapter that a tenant may use: its base model, and that one's engines once for each of its live versions.

    `owner` is the tenant's, or SHARED. `created` is when it went live first of what is live now, in Unix seconds.
    """

    base_model: str
    owner: str
    versions: tuple[VersionRow, ...]
    targets: list[TargetRow]
    created: int = 0


class TenantRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tenant may use: model name -> the targets inside its zones, in order of priority; and how much.

    `limits` is None for a tenant without any. `pins` says whether it may name the target of a request. Nothing goes
    through one that is `disabled`, but what has ended is still settled by its limits. `usage_retention_s`: how long
    the usage store keeps its requests after they began; None is the store's own time. Without `terms` it pays the
    models' prices. `credits` is its account, where it has one. `aliases` are the adapters that it may use, as clients
    call them; `shared` those of the platform that it was granted, also where nobody has made them. `zones`: where
    requests for those may go, None for everywhere.
    """

    models: dict[str, list[TargetRow]]
    limits: LimitsRow | None = None
    pins: bool = False
    disabled: bool = False
    usage_retention_s: int | None = None
    terms: TermsRow | None = None
    credits: CreditsRow | None = None
    aliases: dict[str, AliasRow] = {}
    shared: tuple[str, ...] = ()
    zones: tuple[str, ...] | None = None

    def targets(self, model: str) -> list[TargetRow]:
        """Where a request for a model or an adapter may go; nowhere, if the tenant has none of that name."""
        alias = self.aliases.get(model)
        return alias.targets if alias else self.models.get(model, [])


class ZonedTarget(msgspec.Struct, frozen=True, array_like=True):
    """A target of a model, and the zone that it is in."""

    zone: str
    target: TargetRow


class PlanRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What tenants of the directory may have in common with those of gateway.yaml; no `zones` is every zone."""

    limits: GivenLimits = GivenLimits()
    zones: tuple[str, ...] | None = None
    terms: TermsRow | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """One generation of the tables.

    `loads`: clusters by what their statistics are called, PROVIDER or PROVIDER/KEY, where some strategy goes by load.
    `budgets` of providers are by `Purse.name`, what these take by `headgate.purses.price_name`; `costs` and
    `own_costs` are for the file of prices, whose PriceList says what they are.
    `slots` of engines are by what they are called, `TargetRow.engine`.
    `chains` has all targets of each model, in order of priority, and `plans` gateway.yaml's: tenants of the directory
    are made of them (headgate/tenants.py, which is whom to ask for any tenant).
    """

    generation: int
    created: int
    max_body_bytes: int
    keys: list[Key]
    tenants: dict[str, TenantRow]
    models: dict[str, ModelRow]
    loads: dict[str, str] = {}
    budgets: dict[str, LimitsRow] = {}
    provider_prices: dict[str, PriceRow] = {}
    costs: dict[str, PriceRow] = {}
    own_costs: dict[str, dict[str, PriceRow]] = {}
    chains: dict[str, list[ZonedTarget]] = {}
    plans: dict[str, PlanRow] = {}
    slots: dict[str, SlotsRow] = {}
    spool: SpoolRow = SpoolRow()
    alerts: AlertsRow | None = None
    auth: AuthRow = AuthRow()
    issuers: tuple[IssuerRow, ...] = ()
    clients: tuple[ClientRow, ...] = ()
    engines: dict[str, EngineRow] = {}  # for their part
    otlp_traces: str | None = None  # read when a worker starts, like everything of Envoy's bootstrap


def write_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Writes the file whole or not at all, readable by its owner only; the prices first.

    As soon as the file is there, a request may begin with its generation, and has to be priced by it.
    """
    write_prices(prices_of(snapshot), path.with_name(PRICES.name), snapshot.generation)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(snapshot))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def prices_of(snapshot: Snapshot) -> PriceList:
    """What its requests are priced by."""
    return PriceList(
        models={name: model.price for name, model in snapshot.models.items() if model.price},
        providers=snapshot.provider_prices,
        costs=snapshot.costs,
        own_costs=snapshot.own_costs,
    )


def read_snapshot(path: Path) -> Snapshot:
    """Reads what `write_snapshot` wrote. Raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Snapshot)
