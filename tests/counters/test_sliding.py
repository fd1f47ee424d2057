"""No stretch of time as long as a sliding window ever sees more than its limit, wherever it begins."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.counters.reservation import Wish
from headgate.limits import LimitRow
from tests.counters.tenant import EPOCH, START, TimelessTenant, limits_of
from tests.counters.valkey_server import ValkeyServer

CAP, BURST = 5, 3
# Of one window, in buckets of 20 to a second or 60 to a minute.
steps = st.lists(st.floats(0, 0.1) | st.floats(0, 1.2) | st.sampled_from([0, 0, 0.5, 1, 1.02]), max_size=40)


@pytest.mark.parametrize(("kind", "length_ms"), [("rps", 1000), ("rpm", 60_000), ("input_tpm", 60_000)])
@pytest.mark.parametrize("burst", [0, BURST])
def test_any_stretch_of_time(shared_valkey: ValkeyServer, kind: str, length_ms: int, burst: int) -> None:
    row = limits_of(LimitRow(kind, CAP, burst=burst, refill_ms=2 * length_ms if burst else 0))
    with shared_valkey.raw_client() as client:

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(steps=steps, amounts=st.lists(st.integers(1, 3), min_size=40, max_size=40))
        def check(steps: list[float], amounts: list[int]) -> None:
            client.flushall()
            tenant, now, let_in = TimelessTenant(client, row), START, list[tuple[int, int]]()
            for at, (step, amount) in enumerate(zip(steps, amounts, strict=False)):
                now += int(step * length_ms)
                if not tenant.reserve(Wish(f"r{at}", EPOCH, amount), now).refused:
                    let_in.append((now, amount if kind == "input_tpm" else 1))
            for first, _ in let_in:
                assert sum(amount for at, amount in let_in if first <= at <= first + length_ms) <= CAP + burst

        check()
