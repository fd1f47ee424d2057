"""What a tenant costs in memory: bounded whatever it does, by its limits and not by its requests; nothing stays."""

from typing import Any

from redis import Redis

from headgate.counters.reservation import Wish
from headgate.counters.scripts import OTHER_USERS, REMEMBER_MS
from headgate.counters.settlement import Settled
from headgate.limits import NANO, LimitRow
from tests.counters.tenant import EPOCH, START, Tenant, limits_of

CLOSED = 120  # bytes of a request that is remembered
OPEN = 1_000  # of one that is open, with eight limits
LIMIT = 1_000  # of one limit, with all buckets of its minute
USERS = 4  # limits by user below
USER = 400 * USERS  # of a user with counters of its own
EACH = limits_of(
    *(LimitRow(kind, 10**9, soft=1, by=("user",)) for kind in ("rpm", "tpm", "daily_tokens", "concurrency")),
    LimitRow("monthly_usd", 10**6 * NANO),
    rpm=10**9,
    concurrency=10**6,
)


def bytes_of(valkey: Redis, pattern: str = "*") -> dict[str, int]:
    found: Any = valkey.keys(pattern)
    return {key.decode(): int(valkey.memory_usage(key, samples=0)) for key in found}  # type: ignore[arg-type]


def test_requests_that_have_ended_are_remembered_for_a_moment_and_cost_little(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(rpm=10**9, tpm=10**9, concurrency=10**6, monthly_tokens=10**12))
    for second in range(60):
        settled = []
        for number in range(20):
            request, now = f"{second}-{number}", START + second * 1000
            tenant.reserve(Wish(request, EPOCH, 10, 100), now)
            settled.append(Settled(request, EPOCH, now, tenant.applying(), input=10, output=5))
        tenant.settle(*settled, now=START + second * 1000)
    sizes = bytes_of(raw)
    records = [size for key, size in sizes.items() if ":r:" in key]
    assert len(records) == 1200
    assert max(records) <= CLOSED
    assert sum(sizes.values()) - sum(records) <= 4 * LIMIT  # however many there were
    left: Any = [raw.pttl(key) for key in raw.keys("*:r:*")]  # type: ignore[union-attr]
    assert max(left) <= REMEMBER_MS


def test_users_are_many_and_their_counters_are_not(raw: Redis) -> None:
    most = 500
    tenant = Tenant(raw, EACH, most_users=most)
    for number in range(2 * most):
        applying = tenant.applying("ci", "chat", f"user-{number}")
        tenant.reserve(Wish(f"{number}", EPOCH, 1, 16), applying=applying)
        tenant.settle(Settled(f"{number}", EPOCH, START, applying, input=1, output=1))
    sizes = {key: size for key, size in bytes_of(raw).items() if ":r:" not in key}
    others = {key for key in tenant.applying("ci", "chat", OTHER_USERS).keys if key in sizes}
    assert len(others) >= USERS  # those beyond have shared these
    assert most < len(sizes) <= most * USERS + len(EACH.limits) + USERS + 10
    assert sum(sizes.values()) <= most * USER + (len(EACH.limits) + USERS) * LIMIT


def test_open_requests_cost_what_their_limits_need(raw: Redis) -> None:
    tenant = Tenant(raw, EACH)
    applying = tenant.applying("ci", "chat", "ann")
    for number in range(200):
        tenant.reserve(Wish(f"{number}", EPOCH, 1, 16), applying=applying)
    assert sum(bytes_of(raw, "hg:{acme}:r:*").values()) <= 200 * OPEN
