"""The scripts in a real Valkey against a plain model of them, on a clock of the test's; what they leave behind."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis import Redis
from script_model import Model
from valkey_server import ValkeyServer

from headgate.counters.scripts import (
    REMEMBER_MS,
    RESERVE,
    SETTLE,
    limit_key,
    member_of,
    open_key,
    record_key,
    request_of,
    tenant_of,
)
from headgate.snapshot import LimitsRow
from ratelimit.limits import TenantLimits, Verdict

START = 1_800_000_000_000
LEASE_MS = 600_000
EDGES = (49, 50, 51, 999, 1000, 1001, 1049, 1050, 59_000, 59_999, 60_000, 60_001, 60_999, 61_000, 61_001)
caps = st.none() | st.integers(1, 5)


class Tenant:
    """One tenant's calls, on one Valkey."""

    def __init__(self, valkey: Redis, row: LimitsRow, name: str = "acme") -> None:
        self.valkey, self.limits = valkey, TenantLimits(name, row)
        self.name = name

    def reserve(self, request: str, now: int | str = "", lease_ms: int = LEASE_MS) -> Verdict:
        keys, arguments = self.limits.keys(request), self.limits.arguments("e1", request, lease_ms, now)
        reply: Any = self.valkey.eval(RESERVE.text, len(keys), *keys, *arguments)
        return self.limits.verdict(reply)

    def settle(self, *requests: str) -> int:
        keys = (open_key(self.name), *(record_key(self.name, request) for request in requests))
        members = (member_of("e1", request) for request in requests)
        freed: Any = self.valkey.eval(SETTLE.text, len(keys), *keys, REMEMBER_MS, *members)
        return int(freed)


class Scripts(RuleBasedStateMachine):
    """Any sequence of reservations, repetitions, settlements and steps of the clock."""

    valkey: Redis

    @initialize(rpm=caps, rps=caps, concurrency=caps, one=st.sampled_from(["", "rpm", "rps", "concurrency"]))
    def configured(self, rpm: int | None, rps: int | None, concurrency: int | None, one: str) -> None:
        self.valkey.flushall()
        if one:  # by itself: it is the one that decides
            rpm, rps, concurrency = (2 if one == name else None for name in ("rpm", "rps", "concurrency"))
        if (rpm, rps, concurrency) == (None, None, None):
            rpm = 1
        self.tenant = Tenant(self.valkey, LimitsRow(rpm, rps, concurrency))
        self.model = Model(self.tenant.limits.limits)
        self.now, self.number, self.steady = START, 0, True
        self.let_in: list[int] = []

    @rule(step=st.integers(0, 200) | st.integers(0, 70_000) | st.integers(0, 900_000))
    def time_passes(self, step: int) -> None:
        self.now += step

    @rule(step=st.sampled_from(EDGES), times=st.integers(1, 3))
    def new_requests_when_a_bucket_turns(self, step: int, times: int) -> None:
        self.now += step
        self.new_requests(times, LEASE_MS)

    @rule(step=st.integers(1, 3000) | st.integers(1, 200_000))
    def clock_goes_back(self, step: int) -> None:
        self.now -= step
        self.steady = False

    @rule(times=st.integers(1, 6), lease_ms=st.sampled_from([30_000, LEASE_MS]))
    def some_new_requests(self, times: int, lease_ms: int) -> None:
        self.new_requests(times, lease_ms)

    def new_requests(self, times: int, lease_ms: int) -> None:
        for _ in range(times):
            self.number += 1
            self.reserve(f"r{self.number}", lease_ms)

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data())
    def the_same_request_again(self, data: st.DataObject) -> None:
        self.reserve(f"r{data.draw(st.integers(1, self.number))}", LEASE_MS)

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data())
    def requests_end(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.integers(1, self.number + 2), min_size=1, max_size=4, unique=True))
        expected = sum(self.model.settle(f"r{number}") for number in some)
        assert self.tenant.settle(*(f"r{number}" for number in some)) == expected

    def reserve(self, request: str, lease_ms: int) -> None:
        before = {limit.name: self.model.used(limit, self.now) for limit in self.model.limits}
        outcome, full = self.model.reserve(request, self.now, lease_ms)
        verdict = self.tenant.reserve(request, self.now, lease_ms)
        assert verdict.closed == (outcome == "closed")
        assert (verdict.refused is not None) == (outcome == "refused")
        if outcome == "closed":
            return
        for standing in verdict.standings:
            used = self.model.used(standing.limit, self.now)
            assert standing.left == max(0, standing.limit.cap - used)
            if standing.limit.kind == "window":
                assert standing.reset_ms == max(0, self.model.windows[standing.limit.name].reset_ms(self.now))
        if verdict.refused:
            assert verdict.refused.limit.name in full
            assert verdict.refused.used == before[verdict.refused.limit.name] == verdict.refused.limit.cap
            self.waits(verdict)
        if outcome == "allowed":
            self.let_in.append(self.now)

    def waits(self, verdict: Verdict) -> None:
        """Just then there is room in the window, and not a moment before."""
        assert verdict.refused
        limit, wait_ms = verdict.refused.limit, verdict.refused.wait_ms
        assert wait_ms > 0
        if limit.kind == "window":
            assert self.model.used(limit, self.now + wait_ms) < limit.cap
            assert self.model.used(limit, self.now + wait_ms - 1) >= limit.cap

    @invariant()
    def no_stretch_of_time_sees_more_than_the_limit(self) -> None:
        for window in getattr(self, "model", Model(())).windows.values():
            cap, length = window.limit.cap, round(window.limit.window_s * 1000)
            for at in range(len(self.let_in) - cap):
                assert not self.steady or self.let_in[at + cap] - self.let_in[at] > length


def test_any_sequence_of_calls(shared_valkey: ValkeyServer) -> None:
    with shared_valkey.client() as client:
        machine = type("Machine", (Scripts,), {"valkey": client})
        machine.TestCase.settings = settings(
            max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        )
        machine.TestCase().runTest()


def test_the_servers_clock_counts_when_none_is_given(valkey: Redis) -> None:
    tenant = Tenant(valkey, LimitsRow(rpm=2))
    assert [bool(tenant.reserve(name).refused) for name in "abc"] == [False, False, True]


def test_all_limits_or_none(valkey: Redis) -> None:
    tenant = Tenant(valkey, LimitsRow(rpm=100, concurrency=1))
    assert tenant.reserve("a", START).standings[0].left == 99
    refused = tenant.reserve("b", START)
    assert refused.refused
    assert refused.refused.limit.name == "concurrency"
    assert refused.standings[0].left == 99  # the one that was refused is not counted
    assert not valkey.exists(record_key("acme", "b"))


def test_a_lowered_limit_leaves_nothing_and_never_less(valkey: Redis) -> None:
    for name in "abcd":
        Tenant(valkey, LimitsRow(rpm=10, concurrency=10)).reserve(name, START)
    verdict = Tenant(valkey, LimitsRow(rpm=2, concurrency=3)).reserve("e", START)
    assert [standing.left for standing in verdict.standings] == [0, 0]
    assert verdict.refused


def test_a_raised_limit_counts_at_once_and_forgets_nothing(valkey: Redis) -> None:
    tenant = Tenant(valkey, LimitsRow(rpm=1))
    tenant.reserve("a", START)
    assert tenant.reserve("b", START).refused
    assert Tenant(valkey, LimitsRow(rpm=3)).reserve("b", START).standings[0].left == 1


def test_a_reservation_that_comes_after_the_end_takes_nothing(valkey: Redis) -> None:
    tenant = Tenant(valkey, LimitsRow(rpm=5, concurrency=1))
    assert tenant.settle("late") == 0
    assert tenant.reserve("late", START).closed
    assert valkey.zcard(open_key("acme")) == 0
    assert tenant.reserve("other", START).standings[0].left == 4


def test_tenants_share_nothing(valkey: Redis) -> None:
    row = LimitsRow(rpm=1, concurrency=1)
    assert not Tenant(valkey, row, "acme").reserve("a", START).refused
    assert not Tenant(valkey, row, "globex").reserve("a", START).refused
    assert Tenant(valkey, row, "acme").reserve("b", START).refused


def test_every_key_goes_away_by_itself(valkey: Redis) -> None:
    tenant = Tenant(valkey, LimitsRow(rpm=5, rps=5, concurrency=5))
    tenant.reserve("a", START)
    tenant.settle("b")
    keys = valkey.keys("*")
    assert len(keys) == 5
    assert all(0 < valkey.pttl(key) <= 2 * LEASE_MS for key in keys)
    assert all(tenant_of(key) == "acme" for key in keys)


@pytest.mark.parametrize("hold", [True, False])
def test_a_full_server_takes_nothing_by_halves(valkey: Redis, hold: bool) -> None:
    """OOM is an answer before anything has changed, and what is held can be given back all the same."""
    tenant = Tenant(valkey, LimitsRow(rpm=5, concurrency=2 if hold else None))
    tenant.reserve("a", START)
    before = {key: valkey.dump(key) for key in valkey.keys("*") if key != record_key("acme", "b")}
    valkey.config_set("maxmemory", 1)
    try:
        with pytest.raises(Exception, match="maxmemory"):
            tenant.reserve("b", START)
        assert {key: valkey.dump(key) for key in valkey.keys("*")} == before
        assert tenant.settle("a") == int(hold)
    finally:
        valkey.config_set("maxmemory", 0)
    assert valkey.zcard(open_key("acme")) == 0
    assert not tenant.reserve("b", START).refused


def test_names() -> None:
    assert request_of(member_of("20260101T000000-abc", "1-2")) == ("20260101T000000-abc", "1-2")
    assert tenant_of(limit_key("a.b-c", "rpm")) == "a.b-c"
