"""What a replica is told to load and unload, whatever comes: clients, promotions, restarts, and nothing but that."""

from collections import Counter
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engines.loading.keeping import GRACE_S, Keeping, Seen
from engines.loading.next_step import Load, Rank, Resident, Unload, Wanted, next_step
from engines.loading.seating import LEAVE_S, LOADING_S, STAY_S, Seating, Seats

PLACES = 3
NAMES = [f"acme/bot-{number % 4}@{number}-00000000" for number in range(1, 7)]
OTHER = "sql-lora"
ranks = st.sampled_from([Rank.LIVE, Rank.AWAITED, Rank.STAGED])
names = st.sampled_from(NAMES)
replicas = st.sampled_from([0, 1])


class Replicas(RuleBasedStateMachine):
    """Two replicas with three places each, as the loops drive them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.keeping, self.seating, self.seats = Keeping(), Seating(), Seats()
        self.ranks: dict[str, Rank] = {}
        self.shown: dict[str, float] = {}  # until when a worker may have been told to send requests there
        self.called: dict[str, float] = {}
        self.verified: set[str] = set()
        self.held: list[set[str]] = [set(), set()]
        self.running: list[Counter[str]] = [Counter(), Counter()]

    @rule(name=names, rank=ranks)
    def want(self, name: str, rank: Rank) -> None:
        self.ranks[name] = rank

    @rule(name=names)
    def want_no_more(self, name: str) -> None:
        self.ranks.pop(name, None)

    @rule(name=names)
    def find_good(self, name: str) -> None:
        self.verified.add(name)

    @rule(name=names)
    def call(self, name: str) -> None:
        """Somebody asks for it, and waits where nobody has it."""
        if self.ranks.get(name) is Rank.LIVE:
            self.called[name] = self.now

    @rule(at=replicas, data=st.data())
    def request(self, at: int, data: st.DataObject) -> None:
        """A worker sends one for what it has been told is there, or was so when it last heard."""
        late_s = {name: LEAVE_S if self.ranks.get(name) is Rank.LIVE else GRACE_S for name in self.shown}
        may = sorted(
            name for name in self.held[at] & late_s.keys() if self.now < self.shown[name] + late_s[name] - 0.5
        )
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
        """Requests end, promotions too, control takes back what has no place: whatever is asked for comes, soon."""
        self.running = [Counter(), Counter()]
        self.verified = set(NAMES)
        self.ranks = {name: Rank.LIVE if rank is Rank.AWAITED else rank for name, rank in self.ranks.items()}
        asked = [name for name, rank in self.ranks.items() if rank is Rank.LIVE][-1:]
        for _ in range(round(LOADING_S + GRACE_S + STAY_S + LEAVE_S)):
            self.now += 1
            self.called |= dict.fromkeys(asked, self.now)
            self.turn()
            seated = self.seats.seated
            self.ranks = {name: rank for name, rank in self.ranks.items() if rank is Rank.LIVE or name in seated}
            for at in (0, 1):
                self.step(at)
        for at in (0, 1):
            assert not self.step(at)
            assert set(asked) <= self.held[at]
            assert set(self.seats.seated) <= self.held[at]

    @invariant()
    def not_too_many(self) -> None:
        assert all(len(held) <= PLACES for held in self.held)
        assert len(self.seats.seated) <= PLACES

    def turn(self) -> tuple[Wanted, ...]:
        seen = frozenset(self.held[0] | self.held[1]) - {OTHER}
        busy = frozenset(name for running in self.running for name, count in running.items() if count)
        look = Seen(self.now, seen, busy)
        wanted = self.keeping.wanted(self.ranks, look, self.now, 0.0, self.called)
        before, places = self.seats.seated, PLACES - any(OTHER in held for held in self.held)
        self.seats = self.seating.take(wanted, places, look, self.now, self.verified)
        self.check(set(before), {one.name: one for one in wanted})
        self.shown |= {name: self.now for name in self.seats.seated if self.ranks[name] is Rank.LIVE}
        return tuple(replace(one, pinned=one.pinned or one.name in self.seats.leaving) for one in wanted)

    def check(self, before: set[str], wanted: dict[str, Wanted]) -> None:
        """Who gives way: nobody who works or has just been made live, and to nobody whose files may be bad."""
        came = set(self.seats.seated) - before
        for name, why in self.seats.gone.items():
            assert name in before
            if why != "places":
                assert self.ranks[name] is not Rank.AWAITED
                assert not any(running[name] for running in self.running)
                assert not wanted[name].pinned
                assert came & self.verified

    def step(self, at: int) -> bool:
        wanted = self.turn()
        residents = [Resident(name, bool(self.running[at][name]), name != OTHER) for name in sorted(self.held[at])]
        match step := next_step(wanted, self.seats.seated, residents, PLACES):
            case Load(name):
                assert name in self.ranks
                self.held[at].add(name)
            case Unload(name):
                assert name != OTHER
                assert not self.running[at][name]
                assert self.ranks.get(name) is not Rank.STAGED
                late_s = LEAVE_S if self.ranks.get(name) is Rank.LIVE else GRACE_S
                assert self.now >= self.shown.get(name, -GRACE_S) + late_s
                self.held[at].remove(name)
        return step is not None


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
