"""What a replica is told to load and unload, whatever comes: clients, promotions, restarts, and nothing but that."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engines.loading.keeping import GRACE_S, Keeping, Seen
from engines.loading.next_step import Load, Rank, Resident, Unload, Wanted, next_step, seats

PLACES = 3
NAMES = [f"acme/bot@{number}-00000000" for number in range(1, 7)]
OTHER = "sql-lora"
ranks = st.sampled_from([Rank.LIVE, Rank.AWAITED, Rank.STAGED])
names = st.sampled_from(NAMES)
replicas = st.sampled_from([0, 1])


class Replicas(RuleBasedStateMachine):
    """Two replicas with three places each, as the loops drive them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.keeping = Keeping()
        self.ranks: dict[str, Rank] = {}
        self.was_live: dict[str, float] = {}
        self.held: list[set[str]] = [set(), set()]
        self.running: list[Counter[str]] = [Counter(), Counter()]

    @rule(name=names, rank=ranks)
    def want(self, name: str, rank: Rank) -> None:
        self.ranks[name] = rank

    @rule(name=names)
    def want_no_more(self, name: str) -> None:
        self.ranks.pop(name, None)

    @rule(at=replicas, data=st.data())
    def request(self, at: int, data: st.DataObject) -> None:
        """A worker sends one for what is live, or what was so when it last heard."""
        may = sorted(name for name in self.held[at] if self.now < self.was_live.get(name, 0) + GRACE_S - 1)
        if may:
            self.running[at][data.draw(st.sampled_from(may))] += 1

    @rule(at=replicas)
    def end_request(self, at: int) -> None:
        if self.running[at]:
            name = next(iter(self.running[at]))
            self.running[at] -= Counter({name: 1})

    @rule(at=replicas)
    def restart(self, at: int) -> None:
        self.held[at], self.running[at] = set(), Counter()

    @rule(at=replicas)
    def somebody_else_loads_one(self, at: int) -> None:
        if len(self.held[at]) < PLACES:
            self.held[at].add(OTHER)

    @rule(seconds=st.floats(0.25, 12.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(at=replicas)
    def go_on(self, at: int) -> None:
        self.step(at)

    def teardown(self) -> None:
        """Requests end, nobody changes anything, control takes back what has no place: all is as wanted, soon."""
        self.running = [Counter(), Counter()]
        places = [PLACES - (OTHER in held) for held in self.held]
        seated = seats(self.wanted(), min(places))
        self.ranks = {name: rank for name, rank in self.ranks.items() if rank is not Rank.STAGED or name in seated}
        self.step(0)
        self.now += GRACE_S + 1  # since the last look at what is live
        for at in (0, 1):
            for _ in range(2 * len(NAMES)):
                self.step(at)
            assert not self.step(at)
            assert self.held[at] - {OTHER} == set(seats(self.wanted(), places[at]))

    @invariant()
    def not_too_many(self) -> None:
        assert all(len(held) <= PLACES for held in self.held)

    def wanted(self) -> tuple[Wanted, ...]:
        seen = frozenset(self.held[0] | self.held[1]) - {OTHER}
        busy = frozenset(name for running in self.running for name, count in running.items() if count)
        for name, rank in self.ranks.items():
            if rank is Rank.LIVE:
                self.was_live[name] = self.now
        return self.keeping.wanted(self.ranks, Seen(self.now, seen, busy), self.now)

    def step(self, at: int) -> bool:
        wanted = self.wanted()
        residents = [Resident(name, bool(self.running[at][name]), name != OTHER) for name in sorted(self.held[at])]
        match step := next_step(wanted, residents, PLACES):
            case Load(name):
                assert name in self.ranks
                better = [other for other in seats(wanted, PLACES) if self.ranks[other] < self.ranks[name]]
                assert set(better) <= self.held[at]
                self.held[at].add(name)
            case Unload(name):
                assert name != OTHER
                assert not self.running[at][name]
                assert self.ranks.get(name) is not Rank.STAGED
                if self.ranks.get(name) is not Rank.LIVE:
                    assert self.now >= self.was_live.get(name, -GRACE_S) + GRACE_S
                self.held[at].remove(name)
        return step is not None


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
