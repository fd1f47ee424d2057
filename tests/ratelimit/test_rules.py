"""One snapshot's limits and prices."""

import time
import tracemalloc
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil
from statistics import median

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from headgate.contract import COUNTERS_URL_ENV
from headgate.counters.limits import TenantLimits
from headgate.counters.reservation import estimate_nano, read_verdict, reserve_call
from headgate.limiting import Ask
from headgate.limits import LimitRow, LimitsRow
from headgate.prices import PriceRow
from headgate.snapshot import ModelRow, Snapshot, TenantRow
from headgate.tenants import Tenants
from ratelimit.rules import Rules
from tests.counters.valkey_server import ValkeyServer
from tests.ratelimit.decision_cost import SETS, costs_us, know_all
from tests.ratelimit.limiter_process import know_sums
from tests.tenants.still import Still

TENANTS = 100_000


def snapshot(price: PriceRow | None = None, tenants: int = 1) -> Snapshot:
    row = TenantRow({"chat": []}, LimitsRow((LimitRow("rpm", 1),)))
    known = {f"t{number}": row for number in range(tenants)}
    model = ModelRow("s", "w", max_attempts=1, headers_ms=1, total_ms=5000, price=price)
    return Snapshot(1, 0, 1, keys=[], tenants={**known, "free": TenantRow({})}, models={"chat": model})


def limits_row(tenants: Tenants, name: str) -> LimitsRow:
    row = tenants.known(name)
    assert row
    assert row.limits
    return row.limits


def ask(tokens: int, output: int = 0, model: str = "chat") -> Ask:
    return Ask("e", "t0", "ci", model, "", "r", "chat", tokens, output)


def test_100_000_tenants_cost_nothing_before_they_ask() -> None:
    known = snapshot(tenants=TENANTS)
    tracemalloc.start()
    try:
        rules, tenants = Rules(known), Tenants(known, Still())
        _, peak_bytes = tracemalloc.get_traced_memory()
        assert peak_bytes < 10_000
        limits = rules.limits("t77777", limits_row(tenants, "t77777"))
        assert limits is rules.limits("t77777", limits_row(tenants, "t77777"))
        _, peak_bytes = tracemalloc.get_traced_memory()
        assert peak_bytes < 20_000
    finally:
        tracemalloc.stop()
    assert limits
    assert limits.tenant == "t77777"


def test_decisions_with_100_000_tenants_are_the_counters(
    server: ValkeyServer, valkey: Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(COUNTERS_URL_ENV, f"unix://{server.socket}")
    name, limits = list(SETS.items())[1]
    know_all(server, limits)
    took = uvloop.run(costs_us(limits, server.socket, decisions=2000))
    with capsys.disabled():
        print(f"\n{name}: a decision costs {median(took):.0f} µs of CPU at p50")  # noqa: T201


def test_leases() -> None:
    rules = Rules(snapshot())
    assert [rules.lease_ms(model) for model in ("chat", "gone")] == [35_000, 630_000]


PRICES = st.decimals(min_value=0, max_value=10_000, places=6).map(lambda price: price.normalize())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=PRICES,
    tokens=st.integers(0, 10**6),
    output=st.integers(0, 10**6) | st.integers(0, 10**9),
    times=st.integers(1, 128),
)
@example(made=Decimal("0.0001"), tokens=0, output=10, times=3)  # 0.1 * 3 * 10 is more than 0.1 * 10 * 3
def test_the_script_and_we_come_to_the_same_cost(
    valkey: Redis, made: Decimal, tokens: int, output: int, times: int
) -> None:
    """To the nano-USD: what a worker alone takes, the ledger charges and the counters hold is one number."""
    wish = Rules(snapshot(PriceRow(made, made, made, made))).wish(replace(ask(tokens, output), times=times))
    limits = LimitsRow((LimitRow("daily_usd", 2**53 - 1),))
    applying = TenantLimits("t0", limits).applying("", "chat", "")
    script, keys, arguments = reserve_call(applying, wish, 1000)
    valkey.flushall()
    know_sums(valkey, {"t0": limits})
    verdict = read_verdict(applying, valkey.eval(script.text, len(keys), *keys, *arguments))  # type: ignore[arg-type]
    if not verdict.refused:
        assert verdict.standings[0].used == estimate_nano(wish, verdict.grant)


@given(given=PRICES, made=PRICES, tokens=st.integers(0, 10**7), output=st.integers(0, 10**6))
def test_money_is_exact_and_rounded_up(given: Decimal, made: Decimal, tokens: int, output: int) -> None:
    wish = Rules(snapshot(PriceRow(given, given, given, made))).wish(ask(tokens, output))
    exact = given * 1000 * tokens
    assert exact <= wish.fixed_nano < exact + 1
    assert Decimal(wish.rate_nano) == made * 1000
    assert "e" not in wish.rate_nano.lower()
    assert exact + made * 1000 * output - 1 <= estimate_nano(wish, output) <= exact + made * 1000 * output + 3


@pytest.mark.parametrize("model", ["chat", "gone"])
def test_without_a_price_nothing_is_paid(model: str) -> None:
    wish = Rules(snapshot()).wish(ask(100, 100, model))
    assert (wish.fixed_nano, wish.rate_nano, estimate_nano(wish, 100)) == (0, "0", 0)


@pytest.mark.parametrize(
    ("unit", "units", "surface", "nano", "least"),
    [
        ("", 0, "chat", 1_000_000, 16),
        ("image", 3, "images", 121_000_000, 5000),
        ("second", 7, "transcriptions", 1_000_001, 5000),
        ("character", 9, "speech", 1_000_000, 5000),
        ("", 0, "count_tokens", 0, 16),
    ],
)
def test_what_pieces_may_cost(unit: str, units: int, surface: str, nano: int, least: int) -> None:
    """Rounded up; and output beside them cannot be lowered."""
    free = [Decimal(0)] * 4
    price = PriceRow(*free, request=Decimal("0.001"), image=Decimal("0.04"), second=Decimal("1e-12"))
    asked = Ask("e", "t0", "ci", "chat", "", "r", surface, 7, 5000, unit=unit, units=units)
    wish = Rules(snapshot(price)).wish(asked)
    assert (wish.fixed_nano, wish.least, wish.input, wish.output) == (nano, least, 7, 5000)


@pytest.mark.parametrize(
    ("now_s", "factor", "fixed", "rate"),
    [
        (0, "1", 812_000, "2000"),
        (100, "1", 1_624_000, "7000"),  # reasoning is dearer
        (99, "0.9", 730_800, "1800"),
        (100, "0.90", 1_461_600, "6300"),
        (100, "1.5", 2_436_000, "10500"),
        (100, "0", 0, "0"),
    ],
)
def test_a_tenant_reserves_at_what_it_pays_at_the_moment(
    monkeypatch: pytest.MonkeyPatch, now_s: int, factor: str, fixed: int, rate: str
) -> None:
    one, two = [Decimal(1)] * 3, [Decimal(2)] * 3
    later = PriceRow(*two, Decimal(5), reasoning=Decimal(7), from_ms=100_000)
    monkeypatch.setattr(time, "time", lambda: now_s)
    rules = Rules(snapshot(PriceRow(*one, Decimal(2), later=(later,))))
    for _ in range(2):  # the second time as it was made
        wish = rules.wish(replace(ask(812, 512), price_factor=Decimal(factor)))
        assert (wish.fixed_nano, wish.rate_nano) == (fixed, rate)


@given(
    given=PRICES,
    made=PRICES,
    thought=st.none() | PRICES,
    factor=st.decimals(0, 11, places=6, allow_nan=False),
    tokens=st.tuples(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**5)),
)
def test_what_was_reserved_is_enough(
    given: Decimal, made: Decimal, thought: Decimal | None, factor: Decimal, tokens: tuple[int, int, int]
) -> None:
    """For the same tokens, whichever of them are thought: the charge is never above it, but for what doubles lose."""
    prompt, said, reasoned = tokens
    price = PriceRow(given, given, given, made, reasoning=thought)
    asked = replace(ask(prompt, said + reasoned), price_factor=factor)
    wish = Rules(snapshot(price)).wish(asked)
    of_thought = made if thought is None else thought
    parts = ((given, prompt), (made, said), (of_thought, reasoned))
    charge = ceil(sum(Fraction(each) * count for each, count in parts) * Fraction(factor) * 1000)
    held = estimate_nano(wish, said + reasoned)
    assert held >= charge - held // 10**15 - 1
