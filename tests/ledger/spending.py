"""What the tests of settlement share: limits, a price, lines that cost something, and what they must add up to."""

import contextlib
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

from ledger_process import Ledger, end_line, reserve, stands
from redis import Redis

from headgate.counters.limits import TenantLimits
from headgate.limits import LimitRow, LimitsRow
from headgate.prices import PriceRow
from ledger.pricing.pricing import Pricing
from ledger.settling.charges import Charge, charge_of
from ledger.spool.lines import parsed

E1, E2, E3 = "20260101T000000-aaaaaa", "20260101T000001-bbbbbb", "20260101T000002-cccccc"
PRICE = PriceRow(Decimal("2.5"), Decimal("1.25"), Decimal("2.5"), Decimal(10))
LIMITS = LimitsRow(
    (
        LimitRow("concurrency", 100_000),
        LimitRow("tpm", 10**12),
        LimitRow("daily_requests", 10**12),
        LimitRow("monthly_tokens", 10**12),
        LimitRow("monthly_usd", 10**15, soft=10**9),
        LimitRow("daily_tokens", 10**12, by=("key", "model")),
    )
)
USER_LIMITS = LimitsRow((*LIMITS.limits, LimitRow("daily_tokens", 10**12, by=("user",))))
WISH: dict[str, Any] = {"input": 1000, "output": 500, "fixed_nano": 2_500_000, "rate_nano": "10000"}


def base_of(limits: LimitsRow, tenant: str = "acme") -> str:
    """There once the sums of these limits are."""
    return TenantLimits(tenant, limits).base_key


def used_line(request_id: str, prompt: int = 100, completion: int = 20, **more: Any) -> bytes:
    """The `end` line of a request that a provider answered."""
    tokens = {"prompt_tokens": prompt, "completion_tokens": completion}
    return end_line(
        request_id, **{"key_id": "ci", "attempts": 1, "status": 200, "price_generation": 1, **tokens, **more}
    )


def reserved(valkey: Redis, epoch: str, *ids: str, limits: LimitsRow = LIMITS, **more: Any) -> None:
    reserve(valkey, epoch, *ids, limits=limits, key_id="ci", **WISH, **more)


def charged(*spools: Path) -> Charge:
    """What all lines of these folders are charged, by the rule alone."""
    total = [0, 0, 0, 0]
    for path in (path for spool in spools for path in spool.glob("*.ndjson")):
        for text in path.read_bytes().splitlines():
            line = parsed(text)
            if line and line.type == "end":
                charge = charge_of(line, Pricing(PRICE))
                some = (charge.requests, charge.input, charge.output, charge.usd_nano)
                total = [one + other for one, other in zip(total, some, strict=True)]
    return Charge(*total)


def settled_as(charge: Charge) -> dict[str, tuple[int, int]]:
    tokens = charge.input + charge.output
    return {
        "concurrency": (0, 0),
        "daily_requests": (charge.requests, 0),
        "monthly_tokens": (tokens, 0),
        "monthly_usd": (charge.usd_nano, 0),
        "daily_tokens:key=ci,model=chat": (tokens, 0),
    }


def calendar_of(valkey: Redis, limits: LimitsRow = LIMITS, **who: str) -> dict[str, tuple[int, int]]:
    return {name: some for name, some in stands(valkey, limits, **who).items() if name != "tpm"}


def in_database(ledger: Ledger, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(f"file:{ledger.state}/ledger/usage.db?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()
