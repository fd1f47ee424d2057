"""The limits of one process alone: a sliding window per tenant, on any clock."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.snapshot import LimitsRow
from ratelimit.codec import duration
from ratelimit.emergency import Emergency
from ratelimit.limits import TenantLimits, whole_seconds

STEPS = st.lists(st.floats(0, 5) | st.floats(0, 90) | st.sampled_from([0.99, 1.0, 59.99, 60.0, 61.0]), max_size=60)


@given(steps=STEPS, rpm=st.integers(1, 12), workers=st.integers(1, 4))
def test_no_minute_sees_more_than_the_share(steps: list[float], rpm: int, workers: int) -> None:
    emergency, limits = Emergency(workers), TenantLimits("acme", LimitsRow(rpm=rpm)).windows
    share, now, let_in = max(1, rpm // workers), 1000.0, list[float]()
    for step in steps:
        now += step
        refused = emergency.take("acme", limits, now)
        recent = [at for at in let_in if now - at < 60]
        if refused:
            assert refused.used == share
            assert len([at for at in let_in if now - at <= 61]) >= share
            assert 0 < refused.wait_ms <= 61_000
            later = Emergency(workers)
            for at in let_in:
                later.take("acme", limits, at)
            assert later.take("acme", limits, now + refused.wait_ms / 1000 + 0.001) is None
        else:
            assert len(recent) < share
            let_in.append(now)


def test_all_limits_or_none() -> None:
    emergency, limits = Emergency(1), TenantLimits("acme", LimitsRow(rpm=3, rps=1, concurrency=1)).windows
    assert emergency.take("acme", limits, 10.0) is None
    for _ in range(5):
        refused = emergency.take("acme", limits, 10.1)
        assert refused
        assert refused.limit.name == "rps"
    assert emergency.take("acme", limits, 12.0) is None
    assert emergency.take("acme", limits, 14.0) is None
    refused = emergency.take("acme", limits, 16.0)
    assert refused
    assert refused.limit.name == "rpm"


def test_tenants_share_nothing_and_the_end_forgets_all() -> None:
    emergency, limits = Emergency(2), TenantLimits("acme", LimitsRow(rpm=1)).windows
    assert [bool(emergency.take(name, limits, 1.0)) for name in ("acme", "acme", "globex")] == [False, True, False]
    emergency.clear()
    assert emergency.take("acme", limits, 1.0) is None


def test_without_a_window_there_is_nothing_to_count() -> None:
    limits = TenantLimits("acme", LimitsRow(concurrency=1))
    assert limits.holds
    assert all(Emergency(2).take("acme", limits.windows, 1.0) is None for _ in range(9))


def test_times_as_openai_writes_them() -> None:
    shown = {
        0: "0s",
        1: "1s",
        1000: "1s",
        1001: "2s",
        59_001: "1m0s",
        61_000: "1m1s",
        360_000: "6m0s",
        3_600_001: "1h0m1s",
    }
    assert {milliseconds: duration(milliseconds) for milliseconds in shown} == shown
    assert [whole_seconds(milliseconds) for milliseconds in (1, 999, 1000, 1001)] == [1, 1, 1, 2]
