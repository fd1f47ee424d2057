"""The scripts in a real Valkey against a plain model of them: any order of calls, on a clock of the test's."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from redis import Redis

from headgate.counters.limits import Applying, Limit, TenantLimits
from headgate.counters.reservation import LEAST_GRANT, Verdict, Wish, estimate_nano
from headgate.counters.scripts import alerts_key, limit_of, record_key
from headgate.counters.settlement import Settled, Sum, read_record
from headgate.credits import CreditsRow, Ending
from headgate.limits import KINDS, KINDS_OF_PARTS, SCOPES, LimitRow, LimitsRow, Scope
from tests.counters.script_model import Model, Outcome, amount_of, most_of, soft_of
from tests.counters.tenant import EPOCH, LEASE_MS, START, TimelessTenant
from tests.counters.valkey_server import ValkeyServer

MOST_USERS = 2
DAY_MS = 86_400_000
EDGES = (49, 50, 51, 999, 1000, 1001, 1049, 1050, 59_000, 59_999, 60_000, 60_001, 60_999, 61_000, 61_001)
CAPS = {"requests": 4, "slots": 3, "input": 60, "output": 150, "tokens": 200, "usd": 3000}
DAYS_AGO = st.sampled_from([0, 0, 0, DAY_MS])
BY: st.SearchStrategy[tuple[Scope, ...]] = st.sampled_from([(), (), ("user",), ("key", "model"), SCOPES])
GATEWAYS = st.sampled_from(["g1", "g2"])
TOKENS = st.integers(0, 40)
callers = st.tuples(st.sampled_from(["ci", "web"]), st.sampled_from(["big", "chat"]), st.sampled_from(["", *"uvwx"]))


@st.composite
def limit_rows(draw: st.DrawFn) -> LimitRow:
    kind = KINDS[draw(st.sampled_from(sorted(KINDS_OF_PARTS, key=lambda name: KINDS[name].dimension)))]
    most = CAPS[kind.dimension]
    cap = draw(st.integers(most // 3, most) | st.integers(0, most) | st.none())
    soft = draw(st.integers(0, most) if cap is None else st.none() | st.integers(0, most))
    burst = draw(st.sampled_from([0, 1, most])) if kind.shape == "window" and cap is not None else 0
    by = draw(BY)
    models = draw(st.sampled_from([None, None, ("big",)]))
    ceiling = None if cap is None else draw(st.sampled_from([None, None, cap + 2]))
    refill_ms = draw(st.sampled_from([700, 60_000, 600_000])) if burst else 0
    return LimitRow(kind.name, cap, soft, ceiling, None, burst, refill_ms, by, models)


@st.composite
def credit_rows(draw: st.DrawFn) -> LimitRow:
    floor = draw(st.sampled_from([0, 0, -500, 200]))
    return LimitRow("credits", None, floor=floor, low=draw(st.none() | st.integers(floor + 1, 3000)))


def rows_of(most: int, least: int = 0) -> st.SearchStrategy[list[LimitRow]]:
    return st.lists(limit_rows(), min_size=least, max_size=most, unique_by=lambda row: (row.kind, row.by, row.models))


def accounts(start: int) -> st.SearchStrategy[CreditsRow | None]:
    """Some with credits that end in the next days, or have ended."""
    ending = st.builds(
        Ending, st.integers(-DAY_MS, 3 * DAY_MS).map(lambda after: start + after), st.integers(0, 1500)
    )
    since = st.sampled_from([0, 1, 400]).map(lambda days: start // DAY_MS - days)
    made = st.builds(CreditsRow, since, st.integers(-100, 4000), st.lists(ending, max_size=2).map(tuple))
    return st.integers(0, 5).flatmap(lambda number: made if number else st.none())


wishes = st.builds(
    Wish,
    st.just(""),
    st.just(EPOCH),
    input=TOKENS,
    output=st.sampled_from([60, 17, 0, 1, 15, 16]),
    times=st.integers(1, 3),
    fixed_nano=st.just(0) | st.integers(0, 300),
    rate_nano=st.sampled_from(["0", "0.3", "7", "33.4"]),
)


class Scripts(RuleBasedStateMachine):
    """Reservations, repetitions, settlements, sums, losses and steps of the clock."""

    valkey: Redis

    @initialize(
        rows=rows_of(4, least=1) | st.tuples(credit_rows(), rows_of(2)).map(lambda both: [both[0], *both[1]]),
        anniversary=st.sampled_from([1, 15, 29, 31]),
        start=st.integers(0, 1500).map(lambda days: START + days * DAY_MS - START % DAY_MS),
        base=st.integers(0, 5).map(bool),
        data=st.data(),
    )
    def configured(self, rows: list[LimitRow], anniversary: int, start: int, base: bool, data: st.DataObject) -> None:
        self.valkey.flushall()
        limits = LimitsRow(tuple(rows), anniversary=anniversary)
        account = data.draw(accounts(start))
        self.tenant = TimelessTenant(self.valkey, limits, account=account, base=base, most_users=MOST_USERS)
        self.model = Model(MOST_USERS, base=base)
        self.now, self.number, self.sequence = start, 0, 0
        self.asked: dict[str, tuple[Applying, Wish, int]] = {}
        self.lost: set[str] = set()

    @rule(step=st.integers(0, 200) | st.integers(0, 70_000) | st.integers(0, 900_000))
    def time_passes(self, step: int) -> None:
        self.now += step

    @rule(step=st.integers(0, 40 * DAY_MS) | st.sampled_from([DAY_MS, 28 * DAY_MS, 31 * DAY_MS]))
    def days_pass(self, step: int) -> None:
        self.now += step

    @precondition(lambda self: self.tenant.limits.credits)
    @rule(amount=st.integers(-500, 3000))
    def credits_are_booked(self, amount: int) -> None:
        """Those who have asked before go on with what they knew."""
        account = self.tenant.limits.credits
        assert account
        account = CreditsRow(account.since_day, account.booked_nano + amount, account.ending)
        self.tenant.limits = TenantLimits("acme", self.tenant.limits.row, account)

    @rule(back=st.integers(1, 3000) | st.integers(1, 200_000))
    def clock_goes_back(self, back: int) -> None:
        self.now -= back

    @rule(step=st.just(0) | st.sampled_from(EDGES), wish=wishes, caller=callers, times=st.integers(1, 5))
    def new_requests(self, step: int, wish: Wish, caller: tuple[str, str, str], times: int) -> None:
        self.now += step
        for _ in range(times):
            self.number += 1
            request = f"r{self.number}"
            wish = Wish(request, EPOCH, wish.input, wish.output, wish.times, wish.fixed_nano, wish.rate_nano)
            self.asked[request] = (self.tenant.applying(*caller), wish, self.now)
            self.reserve(request)

    @rule(
        wish=wishes,
        caller=callers,
        ago=st.integers(-3000, 70_000) | st.sampled_from([1000 * edge for edge in EDGES]) | st.just(DAY_MS),
    )
    def a_request_that_was_let_through_is_reserved(self, wish: Wish, caller: tuple[str, str, str], ago: int) -> None:
        self.number += 1
        request, applying = f"r{self.number}", self.tenant.applying(*caller)
        wish = Wish(request, EPOCH, wish.input, wish.output, wish.times, wish.fixed_nano, wish.rate_nano)
        at = self.now - ago
        self.asked[request] = (applying, wish, at)
        outcome = self.model.reserve(applying, wish, self.now, LEASE_MS, min(at, self.now))
        verdict = self.tenant.reserve(wish, self.now, LEASE_MS, applying, at)
        assert outcome.kind == "allowed"
        assert (verdict.refused, verdict.grant) == (None, outcome.grant)
        self.stands(applying)
        if applying.settles:
            self.compare_record(applying, wish, outcome.grant)

    @precondition(lambda self: self.asked.keys() - self.lost)
    @rule(data=st.data())
    def the_same_request_again(self, data: st.DataObject) -> None:
        self.reserve(data.draw(st.sampled_from(sorted(self.asked.keys() - self.lost))))

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data(), real=st.tuples(TOKENS, TOKENS, st.integers(0, 2000)), late=st.booleans())
    def requests_end(self, data: st.DataObject, real: tuple[int, int, int], late: bool) -> None:
        names = st.sampled_from(sorted(self.model.open) or sorted(self.asked)) | st.sampled_from(sorted(self.asked))
        settled = []
        for request in data.draw(st.lists(names, min_size=1, max_size=3, unique=True)):
            applying, _, began = self.asked[request]
            settled.append(Settled(request, EPOCH, self.now if late else began, applying, 1, *real))
        self.settle(settled)

    @rule(caller=callers, real=st.tuples(TOKENS, TOKENS, st.integers(0, 2000)), ago=st.integers(-3000, 70_000))
    def a_request_that_was_let_through_ends(
        self, caller: tuple[str, str, str], real: tuple[int, int, int], ago: int
    ) -> None:
        self.number += 1
        request, applying = f"r{self.number}", self.tenant.applying(*caller)
        self.asked[request] = (applying, Wish(request, EPOCH), self.now)  # its reservation may come yet
        self.settle([Settled(request, EPOCH, self.now - ago, applying, 1, *real)])

    @rule(data=st.data(), caller=callers, gateway=GATEWAYS, base=st.booleans(), ago=DAYS_AGO)
    def the_ledger_says_what_was_charged(
        self, data: st.DataObject, caller: tuple[str, str, str], gateway: str, base: bool, ago: int
    ) -> None:
        sums = []
        for limit in self.tenant.applying(*caller).limits:
            if limit.is_calendar:
                self.sequence += 1
                value = data.draw(st.integers(0, CAPS[limit.kind.dimension]))
                sequence = self.sequence - data.draw(st.sampled_from([0, 0, 9]))
                sums.append(Sum(limit, limit.window_ms(self.now - ago)[0], value, sequence))
        self.settle([], sums, gateway, base=base)

    @precondition(lambda self: self.model.records)
    @rule(data=st.data())
    def a_record_is_lost(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(self.model.records)))
        self.valkey.delete(record_key("acme", request))
        del self.model.records[request]
        self.lost.add(request)

    @rule(everything=st.booleans(), back=st.integers(0, 5).map(bool))
    def valkey_loses_what_it_had(self, everything: bool, back: bool) -> None:
        if everything:
            self.valkey.flushall()
            self.model = Model(MOST_USERS)
        else:
            self.valkey.delete(self.tenant.limits.base_key)
            self.model.base = False
        if back:
            self.settle([], base=True)

    def reserve(self, request: str) -> None:
        applying, wish, _ = self.asked[request]
        before = {limit.name: self.used(limit) for limit in applying.limits}
        outcome = self.model.reserve(applying, wish, self.now, LEASE_MS)
        verdict = self.tenant.reserve(wish, self.now, LEASE_MS, applying)
        assert verdict.closed == (outcome.kind == "closed")
        assert verdict.unknown == (outcome.kind == "unknown")
        assert (verdict.refused is not None) == (outcome.kind == "refused")
        assert verdict.grant == outcome.grant
        if verdict.closed or verdict.unknown:
            return
        self.compare_standings(applying, verdict)
        if verdict.refused:
            assert verdict.refused.used == before[verdict.refused.limit.name]
            self.waits(wish, verdict, outcome)
        if outcome.kind == "allowed" and applying.settles:
            self.compare_record(applying, wish, outcome.grant)

    def compare_standings(self, applying: Applying, verdict: Verdict) -> None:
        kept = iter(verdict.standings)
        for limit in applying.limits:
            room = self.room(limit)
            if room is not None:
                standing = next(kept)
                assert (standing.limit, standing.used, standing.left) == (limit, self.used(limit), max(0, room))
                assert standing.reset_ms == self.model.reset_ms(limit, self.key(limit), self.now)
        soft = {limit: some for limit in applying.limits if (some := soft_of(limit, self.now)) is not None}
        spent = {limit: self.model.spent(limit, self.key(limit), self.now) for limit in soft}
        passed = {limit: used for limit, used in spent.items() if used > soft[limit]}
        assert dict(zip(verdict.warned, verdict.warned_used, strict=True)) == passed

    def compare_record(self, applying: Applying, wish: Wish, grant: int) -> None:
        data: Any = self.valkey.get(record_key("acme", wish.request_id))
        record = read_record(data)
        assert record
        assert (record.input, record.output) == (wish.input, grant * wish.times)
        assert record.usd_nano == estimate_nano(wish, grant)
        assert (record.key_id, record.model, record.user) == (applying.key_id, applying.model, applying.user)

    def waits(self, wish: Wish, verdict: Verdict, outcome: Outcome) -> None:
        """Then all limits have room, and a moment before the one that is named has none."""
        assert verdict.refused
        limit, wait_ms = verdict.refused.limit, verdict.refused.wait_ms
        assert limit in outcome.full
        least = min(LEAST_GRANT, wish.output)
        needed = {one.name: amount_of(one, wish, least) for one in outcome.full}
        never = {
            one.name
            for one in outcome.full
            if needed[one.name] > (most_of(one, self.now) or 0) + one.row.burst
            or (one.is_credits and not self.may_come_back(one, needed[one.name]))
        }
        if never or wait_ms < 0:
            assert wait_ms == -1
            assert limit.name in never
            return
        assert wait_ms > 0
        for one in outcome.full:
            if self.may_come_back(one, needed[one.name]):
                assert one != limit or wait_ms <= 1000
                if wait_ms == 1000:
                    continue
            if one.is_calendar:
                assert one != limit or wait_ms == self.model.calendar(one, self.key(one), self.now)[2] - self.now
            elif one.kind.shape == "window":
                window = self.model.window(one, self.key(one))
                if not self.may_come_back(one, needed[one.name]):
                    assert window.room(one, self.now + wait_ms) >= needed[one.name]
                assert one != limit or window.room(one, self.now + wait_ms) >= needed[one.name]
                assert one != limit or window.room(one, self.now + wait_ms - 1) < needed[one.name]

    def may_come_back(self, limit: Limit, needed: int) -> bool:
        """Whether it would fit, were it not for what running requests hold."""
        if limit.kind.dimension == "requests":
            return False
        if limit.kind.shape == "window":
            window = self.model.window(limit, self.key(limit))
            return window.room(limit, self.now, window.reserved(self.now)) >= needed
        if limit.is_calendar:
            sums = self.model.calendar(limit, self.key(limit), self.now)[0]
            return (most_of(limit, self.now) or 0) - sums.settled >= needed
        return not limit.is_credits

    def settle(
        self, settled: list[Settled], sums: list[Sum] | None = None, gateway: str = "g1", *, base: bool = False
    ) -> None:
        freed = sum(self.model.settle(one, self.now) for one in settled)
        for one in sums or []:
            self.model.set_sum(one, gateway, self.now)
        self.model.base |= base
        alerts, self.model.alerts = self.model.alerts, []
        reply = self.tenant.settle(*settled, sums=sums or [], gateway=gateway, base=base, now=self.now)
        assert reply.freed == freed
        told = [(one.name, one.window_ms, one.used, one.soft, one.time_ms) for one in reply.alerts]
        assert told == [(limit_of(key), *rest) for key, *rest in alerts]
        assert not self.valkey.exists(alerts_key("acme"))
        for applying in {one.applying for one in settled}:
            self.stands(applying)

    def stands(self, applying: Applying) -> None:
        for limit in applying.limits:
            if limit.user and not self.model.users.get(limit.user, 0) > self.now:
                continue  # which counter it would have is decided when it asks
            now = self.tenant.standing(applying, self.now)[limit.name]
            room = self.room(limit)
            assert now.used + now.reserved == self.used(limit)
            assert now.left == (None if room is None else max(0, room))
            if limit.is_calendar:
                assert now.reserved == self.model.calendar(limit, self.key(limit), self.now)[0].reserved(self.now)
            elif limit.kind.shape == "window":
                assert now.reserved == self.model.window(limit, self.key(limit)).reserved(self.now)

    def key(self, limit: Limit) -> str:
        return self.model.key("acme", limit, self.now)

    def used(self, limit: Limit) -> int:
        return self.model.used(limit, self.key(limit), self.now)

    def room(self, limit: Limit) -> int | None:
        return self.model.room(limit, self.key(limit), self.now)


def test_any_sequence_of_calls(shared_valkey: ValkeyServer) -> None:
    with shared_valkey.raw_client() as client:
        machine: Any = type("Machine", (Scripts,), {"valkey": client})
        machine.TestCase.settings = settings(
            max_examples=250, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        )
        machine.TestCase().runTest()
