"""What a decision of the limiter costs: `python -m tests.ratelimit.decision_cost`, with 100,000 tenants known.

CPU of the deciding thread alone, from the bytes of Envoy's call to the bytes of the answer, the round trip included.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from decimal import Decimal
from pathlib import Path

import uvloop

from headgate.contract import COUNTERS_URL_ENV
from headgate.grpc_server import Method
from headgate.limits import NANO, LimitRow, LimitsRow
from headgate.prices import PriceRow
from headgate.snapshot import ModelRow, Snapshot, TenantRow
from headgate.tables import Holder
from headgate.wire.ratelimit_pb2 import RateLimitRequest, RateLimitResponse
from ratelimit import service
from tests.counters.valkey_server import ValkeyServer, valkey_server
from tests.ratelimit.limiter_process import know_sums

TENANTS, ACTIVE, WARM_UP, DECISIONS = 100_000, 1000, 2000, 20_000
MANY = 10**12
SETS = {
    "rpm, concurrency": (LimitRow("rpm", MANY), LimitRow("concurrency", MANY)),
    "rpm, tpm, concurrency, monthly_tokens, monthly_usd": (
        *(LimitRow(kind, MANY) for kind in ("rpm", "tpm", "concurrency", "monthly_tokens")),
        LimitRow("monthly_usd", 1_000_000 * NANO, soft=NANO),
    ),
    "the same, and by key, model and user": (
        *(LimitRow(kind, MANY) for kind in ("rpm", "tpm", "concurrency", "monthly_tokens")),
        LimitRow("monthly_usd", 1_000_000 * NANO, soft=NANO),
        LimitRow("rpm", MANY, by=("key",)),
        LimitRow("tpm", MANY, burst=10_000, refill_ms=600_000, by=("model",)),
        LimitRow("daily_tokens", MANY, by=("key", "user")),
    ),
}


def snapshot_of(limits: tuple[LimitRow, ...], tenants: int = TENANTS) -> Snapshot:
    price = PriceRow(Decimal("2.5"), Decimal("1.25"), Decimal("2.5"), Decimal(10))
    row = TenantRow({"chat": []}, LimitsRow(limits))
    model = ModelRow("s", "w", max_attempts=1, headers_ms=1, price=price)
    known = {f"tenant-{number}": row for number in range(tenants)}
    return Snapshot(1, 0, 1, keys=[], tenants=known, models={"chat": model})


def calls(number: int) -> list[bytes]:
    dice = random.Random(1)  # noqa: S311 - the same calls in every run
    return [_call(at, dice.randrange(ACTIVE), dice.randrange(50)) for at in range(number)]


def _call(number: int, tenant: int, user: int) -> bytes:
    request = RateLimitRequest(domain="20260101T000000-aaaaaa")
    entries = request.descriptors.add().entries
    request_id = f"b2c0cf86-6c4e-4c42-8f1c-{number:012}"
    known = {"tenant": f"tenant-{tenant}", "key_id": "ci", "model": "chat", "user": f"user-{user}", "surface": "chat"}
    for key, value in {**known, "request_id": request_id, "input": "812", "output": "512"}.items():
        entries.add(key=key, value=value)
    return request.SerializeToString()


async def costs_us(limits: tuple[LimitRow, ...], socket: Path, decisions: int = DECISIONS) -> list[float]:
    """One by one. All of them are the counters' decisions."""
    os.environ[COUNTERS_URL_ENV] = f"unix://{socket}"
    (method,) = service.services(Holder(snapshot_of(limits)))
    messages = calls(WARM_UP + decisions)
    for message in messages[:WARM_UP]:
        await _decide(method, message)
    took = []
    for message in messages[WARM_UP:]:
        began = time.thread_time_ns()
        answer = await _decide(method, message)
        took.append((time.thread_time_ns() - began) / 1000)
        assert RateLimitResponse.FromString(answer).dynamic_metadata.fields["reserved"].bool_value
    return took


async def _decide(method: Method, message: bytes) -> bytes:
    answer: bytes | Awaitable[bytes] = method.handler(method.decode(message), {})
    return answer if isinstance(answer, bytes) else await answer


def know_all(server: ValkeyServer, limits: tuple[LimitRow, ...]) -> None:
    """The ledger has written its sums, of nothing used, for every tenant that asks."""
    with server.client() as client:
        know_sums(client, {f"tenant-{tenant}": LimitsRow(limits) for tenant in range(ACTIVE)})


def main() -> None:
    for name, limits in SETS.items():
        with tempfile.TemporaryDirectory() as folder, valkey_server(Path(folder)) as server:
            know_all(server, limits)
            took = uvloop.run(costs_us(limits, server.socket))
        cuts = statistics.quantiles(took, n=100)
        sys.stdout.write(f"{name}: p50 {cuts[49]:.0f} µs, p90 {cuts[89]:.0f}, p99 {cuts[98]:.0f}\n")


if __name__ == "__main__":
    main()
