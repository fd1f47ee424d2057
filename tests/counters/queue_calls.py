"""Calls of the queue's scripts, as workers, the ledger and the part `engines` make them, on a clock of the test's."""

from dataclasses import replace
from typing import Any

from redis import Redis

from headgate.counters.queue import (
    NOWHERE,
    REMEMBER_MS,
    Admitted,
    Looked,
    Places,
    Seat,
    Verdict,
    admit_call,
    look_call,
    read_admitted,
    read_looked,
    release_call,
)
from headgate.counters.scripts import Call, queue_keys
from tests.counters.tenant import EPOCH, START

POOL = "llama@1"
LEASE_MS = 60_000
ONE, OTHER = "10.0.0.5:8000", "10.0.0.6:8000"


def of(capacity: int) -> Places:
    """One replica with so many slots; none is there with 0."""
    return Places(((ONE, capacity),)) if capacity else NOWHERE


class Queue:
    """Calls on one engine's queue. `valkey` must not decode what it answers."""

    def __init__(self, valkey: Redis, capacity: int = 1, length: int = 100) -> None:
        self.valkey, self.now = valkey, START
        self.seat = Seat(POOL, "", EPOCH, "acme", "chat", LEASE_MS, of(capacity), length=length)
        self.seats: dict[str, Seat] = {}

    def run(self, call: Call) -> Any:
        script, keys, arguments = call
        return self.valkey.eval(script.text, len(keys), *keys, *arguments)

    def ask(self, name: str, **differs: Any) -> Admitted:
        """Joins, or looks again, as whoever it was when it joined."""
        seat = self.seats.setdefault(name, replace(self.seat, request_id=name, **differs))
        return read_admitted(self.run(admit_call(seat, self.now)))

    def ask_by(self, caller: str, name: str, *, again: bool = False) -> Verdict:
        """As the worker that `caller` is a call of."""
        seat = replace(self.seats.setdefault(name, replace(self.seat, request_id=name)), caller=caller)
        return read_admitted(self.run(admit_call(seat, self.now, again=again))).verdict

    def leave_by(self, caller: str, name: str) -> int:
        """Its call was cancelled."""
        freed: int = self.run(release_call(POOL, [self.seats[name].member], 0, self.now, caller))
        return freed

    def end(self, *names: str, remember_ms: int = REMEMBER_MS) -> int:
        members = [self.seats[name].member for name in names]
        freed: int = self.run(release_call(POOL, members, remember_ms, self.now))
        return freed

    def serve_all(self) -> list[str]:
        """Who waits, in the order in which they get the one slot there is."""
        served: list[str] = []
        running = next(name for name in self.seats if self.holds(name))
        waiting = [name for name in self.seats if name != running]
        while waiting:
            self.end(running)
            running = next(name for name in waiting if self.ask(name).verdict is Verdict.SLOT)
            waiting.remove(running)
            served.append(running)
        return served

    def look(self, capacity: int) -> Looked:
        """As somebody does who wants nothing."""
        return self.look_at(dict(of(capacity).replicas))

    def look_at(self, replicas: dict[str, int], gateway: str = "") -> Looked:
        return read_looked(self.run(look_call(POOL, gateway, replicas, self.now)))

    def holds(self, name: str) -> bool:
        return self.valkey.zscore(queue_keys(POOL)[0], self.seats[name].member) is not None
