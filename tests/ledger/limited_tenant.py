"""A tenant with limits of every shape, for what the ledger says of them."""

from decimal import Decimal

from headgate.credits import CreditsRow
from headgate.limits import NANO, LimitRow, LimitsRow
from headgate.prices import PriceRow
from headgate.snapshot import AlertsRow, Key, ModelRow, Snapshot, SpoolRow, TargetRow, TenantRow, write_snapshot
from tests.ledger.ledger_process import Ledger

LIMITS = LimitsRow(
    (
        LimitRow("rpm", 60, soft=2),
        LimitRow("tpm", 40_000, burst=10_000, refill_ms=600_000),
        LimitRow("concurrency", 4),
        LimitRow("daily_requests", 2, ceiling=100, overage_price=2 * NANO),
        LimitRow("monthly_tokens", None, soft=5_000),
        LimitRow("monthly_usd", 20 * NANO, models=("big",)),
        LimitRow("rpm", 20, by=("key",)),
        LimitRow("daily_tokens", 100_000, by=("key", "model")),
        LimitRow("daily_tokens", 10_000, by=("user",)),
    ),
    {"ci": (LimitRow("rpm", 5, by=("key",)),)},
    anniversary=15,
)
PRICE = PriceRow(Decimal("2.5"), Decimal("2.5"), Decimal("2.5"), Decimal(10))


def write_tables(
    ledger: Ledger, alerts: AlertsRow | None = None, limits: LimitsRow = LIMITS, account: CreditsRow | None = None
) -> None:
    """The accepted configuration."""
    ledger.generation += 1
    model = ModelRow(stream_profile="s", whole_profile="w", max_attempts=1, headers_ms=1000, price=PRICE)
    target = TargetRow("local", "openai", "provider/local@0", "llama", "request", 0, 1, 1)
    snapshot = Snapshot(
        generation=ledger.generation,
        created=0,
        max_body_bytes=1,
        keys=[Key(bytes([at]) * 32, name, "acme") for at, name in enumerate(("ci", "dev"))],
        tenants={
            "acme": TenantRow({"chat": [target], "big": [target]}, limits, credits=account),
            "globex": TenantRow({"chat": [target]}),
        },
        models={"chat": model, "big": model},
        spool=SpoolRow(min_free_bytes=1),
        alerts=alerts,
    )
    write_snapshot(snapshot, ledger.state / "snapshot.json")
