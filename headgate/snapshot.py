"""What the workers know: the checked gateway.yaml as tables for look-ups, one file per accepted generation.

Workers read this and never gateway.yaml, so an edit that is broken or half-written cannot reach a worker that
restarts. The file holds digests of keys and no secret. Nothing here decides on a request.
"""

import os
from pathlib import Path

import msgspec

from headgate.contract import PRICES
from headgate.limits import LimitsRow
from headgate.prices import PriceList, PriceRow, write_prices


class Key(msgspec.Struct, frozen=True):
    """A virtual key, known by the SHA-256 of the whole key. `expires` is in seconds since the epoch."""

    digest: bytes
    key_id: str
    tenant: str
    disabled: bool = False
    expires: float | None = None


class TargetRow(msgspec.Struct, frozen=True):
    """Where one attempt can go. `endpoints` counts the identical replicas behind the cluster.

    `api` is whose bodies the provider speaks: that of Azure is OpenAI's, and its paths are the edge's business. `usd`
    is what a million tokens cost, of a prompt and of an answer, where the order goes by it.
    `responses`: whether it speaks OpenAI's Responses API too.
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
    variant: str | None = None
    responses: bool = False


class SplitRow(msgspec.Struct, frozen=True):
    """An A/B split: by whom, and the share of each variant."""

    by: str
    variants: dict[str, int]


class ModelRow(msgspec.Struct, frozen=True):
    """What all tenants share of a model: its route for streams and the one for whole answers, times in ms.

    `default_max_tokens` is what an answer may hold where neither the client nor the target says. `hedge_ms`: a stream
    that has not begun by then is asked for a second time, on the route `hedged_profile`.
    """

    stream_profile: str
    whole_profile: str
    max_attempts: int
    headers_ms: int
    total_ms: int = 600_000
    drop_unsupported: bool = False
    price: PriceRow | None = None
    default_max_tokens: int = 4096
    hedge_ms: int | None = None
    hedged_profile: str = ""
    strategy: str = "order"
    split: SplitRow | None = None


class SpoolRow(msgspec.Struct, frozen=True):
    """When requests are refused for want of room, when a spool file is rotated, how long it is kept after."""

    min_free_bytes: int = 256 * 2**20
    rotate_bytes: int = 64 * 2**20
    keep_s: float = 86_400.0


class AlertsRow(msgspec.Struct, frozen=True):
    """Where to tell of soft limits that were crossed, signed with what the file `secret` (below the state) holds."""

    webhook: str
    secret: str


class TenantRow(msgspec.Struct, frozen=True):
    """What a tenant may use: model name -> the targets inside its zones, in order of priority; and how much.

    `limits` is None for a tenant without any. `pins` says whether it may name the target of a request.
    """

    models: dict[str, list[TargetRow]]
    limits: LimitsRow | None = None
    pins: bool = False


class Snapshot(msgspec.Struct, frozen=True):
    """One generation of the tables. `loads`: clusters by provider, of those whose load some strategy goes by."""

    generation: int
    created: int
    max_body_bytes: int
    keys: list[Key]
    tenants: dict[str, TenantRow]
    models: dict[str, ModelRow]
    loads: dict[str, str] = {}
    spool: SpoolRow = SpoolRow()
    alerts: AlertsRow | None = None
    otlp_traces: str | None = None  # read when a worker starts, like everything of Envoy's bootstrap


def write_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Writes the file whole or not at all, readable by its owner only; the prices first.

    As soon as the file is there, a request may begin with its generation, and has to be priced by it.
    """
    prices = PriceList({name: model.price for name, model in snapshot.models.items() if model.price})
    write_prices(prices, path.with_name(PRICES.name), snapshot.generation)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(snapshot))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_snapshot(path: Path) -> Snapshot:
    """Reads what `write_snapshot` wrote. Raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Snapshot)
