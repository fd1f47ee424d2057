"""Any sequence of calls of the queue's scripts in a real Valkey, against a plain model of them."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis import Redis

from headgate.counters.queue import ANYWHERE, BEAT_MS, NOBODY, REMEMBER_MS, Places
from headgate.counters.scripts import queue_keys
from headgate.limits import Priority
from tests.counters.queue_calls import LEASE_MS, ONE, OTHER, POOL, Queue
from tests.counters.queue_model import QueueModel
from tests.counters.valkey_server import ValkeyServer

PRIORITY: st.SearchStrategy[Priority] = st.sampled_from(["high", "normal", "low"])
OF_THREE = st.dictionaries(st.sampled_from([ONE, OTHER, "10.0.0.7:8000"]), st.integers(1, 3))
REPLICAS = OF_THREE.map(lambda sizes: tuple(sizes.items())) | st.integers(1, 4).map(lambda size: ((ANYWHERE, size),))


class Scripts(RuleBasedStateMachine):
    """Requests that come, look again, end, leave and are forgotten, in any order."""

    valkey: Redis

    @initialize(replicas=REPLICAS, others=REPLICAS | st.none(), length=st.integers(0, 30))
    def configured(
        self, replicas: tuple[tuple[str, int], ...], others: tuple[tuple[str, int], ...] | None, length: int
    ) -> None:
        self.valkey.flushall()
        self.queue, self.model, self.number = Queue(self.valkey, 1, length), QueueModel(), 0
        self.views = {"one": replicas, "other": replicas if others is None else others}

    @rule(
        tenant=st.sampled_from(["acme", "globex", "initech"]),
        share=st.sampled_from([1, 1, 2, 3]),
        priority=PRIORITY,
        model=st.sampled_from(["chat", "chat", "big"]),
        patience_ms=st.none() | st.integers(0, 20_000),
        waits=st.integers(0, 9).map(bool),
        times=st.integers(1, 4) | st.integers(1, 12),
        only=st.sampled_from([0, 0, 0, 1, 2, NOBODY]),
        gateway=st.sampled_from(["one", "one", "other"]),
    )
    def comes(self, *, waits: bool, times: int, only: int, gateway: str, **differs: Any) -> None:
        differs.update(gateway=gateway, places=Places(self.views[gateway], only))
        length = {} if waits else {"length": None}
        for _ in range(times):
            self.number += 1
            self.asked(f"r{self.number}", **differs, **length)

    @precondition(lambda self: self.number)
    @rule(
        data=st.data(),
        replicas=st.none() | REPLICAS,
        only=st.sampled_from([None, None, None, 0, 1, NOBODY]),
        waits=st.integers(0, 9).map(bool),
    )
    def looks_again(
        self, data: st.DataObject, replicas: tuple[tuple[str, int], ...] | None, only: int | None, waits: bool
    ) -> None:
        name = data.draw(st.sampled_from(sorted(self.queue.seats)))
        if replicas is not None:
            self.sees(self.queue.seats[name].gateway, replicas)
        seat = self.queue.seats[name]
        if only is not None:
            seat = replace(seat, places=replace(seat.places, only=only))
        self.queue.seats[name] = seat if waits else replace(seat, length=None)
        self.asked(name)

    def sees(self, gateway: str, replicas: tuple[tuple[str, int], ...]) -> None:
        self.views[gateway] = replicas
        for name, seat in self.queue.seats.items():
            if seat.gateway == gateway:
                self.queue.seats[name] = replace(seat, places=Places(replicas, seat.places.only))

    @rule(gateway=st.sampled_from(["one", "other"]))
    def a_gateway_looks(self, gateway: str) -> None:
        view = dict(self.views[gateway])
        assert self.queue.look_at(view, gateway) == self.model.look(gateway, view, self.queue.now)

    @precondition(lambda self: self.number)
    @rule(data=st.data(), remember_ms=st.sampled_from([REMEMBER_MS, 0]))
    def end(self, data: st.DataObject, remember_ms: int) -> None:
        names = data.draw(st.lists(st.sampled_from(sorted(self.queue.seats)), min_size=1, max_size=3, unique=True))
        members = [self.queue.seats[name].member for name in names]
        freed = self.model.release(members, remember_ms, self.queue.now)
        assert self.queue.end(*names, remember_ms=remember_ms) == freed

    @rule(turns=st.integers(1, 30))
    def slots_become_free(self, turns: int) -> None:
        """One after the other, and all who wait look again each time."""
        for _ in range(turns):
            running = [name for name, seat in self.queue.seats.items() if seat.member in self.model.slots]
            waiting = [name for name, seat in self.queue.seats.items() if seat.member in self.model.tickets]
            if not running or not waiting:
                return
            self.queue.now += 7
            freed = self.model.release([self.queue.seats[running[0]].member], REMEMBER_MS, self.queue.now)
            assert self.queue.end(running[0]) == freed
            for name in waiting:
                self.asked(name)

    @rule(step=st.integers(0, 900) | st.integers(0, 6000) | st.sampled_from([BEAT_MS, LEASE_MS, REMEMBER_MS]))
    def time_passes(self, step: int) -> None:
        self.queue.now += step

    def asked(self, name: str, **differs: Any) -> None:
        admitted = self.queue.ask(name, **differs)
        assert admitted == self.model.admit(self.queue.seats[name], self.queue.now)

    @invariant()
    def holds_the_same(self) -> None:
        slots, places, _, tickets, beats, *_ = queue_keys(POOL)
        held = {member.decode(): score for member, score in self.valkey.zrange(slots, 0, -1, withscores=True)}
        assert held == {member: slot.end for member, slot in self.model.slots.items()}
        where = {member.decode(): said.decode() for member, said in self.valkey.hgetall(places).items()}
        assert where == {member: f"{slot.since}::{slot.replica}" for member, slot in self.model.slots.items()}
        waiting = {member.decode() for member in self.valkey.hkeys(tickets)}
        assert waiting == set(self.model.tickets)
        assert {member.decode() for member in self.valkey.zrange(beats, 0, -1)} == waiting


def test_any_sequence_of_calls(shared_valkey: ValkeyServer) -> None:
    with shared_valkey.raw_client() as client:
        machine: Any = type("Machine", (Scripts,), {"valkey": client})
        machine.TestCase.settings = settings(
            max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        )
        machine.TestCase().runTest()
