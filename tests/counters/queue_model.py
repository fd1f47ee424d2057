"""An engine's slots and its queue as plain Python: lists that are sorted anew each time."""

from dataclasses import dataclass, field
from math import ceil

from headgate.counters.queue import BEAT_MS, Admitted, Seat, Verdict
from headgate.limits import PRIORITIES

PASSED = 8


@dataclass
class Ticket:
    seat: Seat
    start: float
    number: int
    joined: int
    until: int

    @property
    def rank(self) -> int:
        return PRIORITIES.index(self.seat.priority)

    @property
    def order(self) -> tuple[int, float, int]:
        return self.rank, self.start, self.number

    @property
    def finish(self) -> float:
        return self.start + 1 / self.seat.share


@dataclass
class Tags:
    """Of a tenant in a class: behind its last ticket, and behind the last that was served."""

    finish: float = 0.0
    served: float = 0.0


@dataclass
class QueueModel:
    slots: dict[str, tuple[int, int]] = field(default_factory=dict)  # member: the end of its lease, when it was taken
    tickets: dict[str, Ticket] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    tags: dict[tuple[int, str], Tags] = field(default_factory=dict)
    virtual: dict[int, float] = field(default_factory=dict)
    passed: dict[int, int] = field(default_factory=dict)
    capacity: int = 0
    number: int = 0
    mean: float | None = None

    def admit(self, seat: Seat, now: int) -> Admitted:
        self.capacity = seat.capacity
        self.prune(now)
        member = seat.member
        if member in self.ended:
            return Admitted(Verdict.ENDED, 0, None, 0)
        if member in self.slots:
            return Admitted(Verdict.SLOT, 0, 0, 0)
        waits = member in self.tickets
        if seat.length is None or (not waits and len(self.tickets) < self.free):
            self.slots[member] = (now + seat.lease_ms, now)
            return Admitted(Verdict.SLOT, 0, 0, 0)
        if not waits:
            self.join(seat, now)
        ticket = self.tickets[member]
        ticket.until = now + BEAT_MS
        if ticket in self.next_ones():
            self.serve(ticket, now)
            return Admitted(Verdict.SLOT, 0, 0, max(0, now - ticket.joined))
        ahead = self.ahead_of(ticket)
        expected = self.expected(ahead)
        if not waits:
            if seat.patience_ms is not None and expected is not None and expected > seat.patience_ms:
                self.leave(ticket)
                return Admitted(Verdict.TOO_LATE, ahead, expected, 0)
            of_model = [one for one in self.line() if one.seat.model == seat.model]
            if len(of_model) > seat.length:
                self.leave(of_model[-1])
                if of_model[-1] is ticket:
                    return Admitted(Verdict.FULL, ahead, expected, 0)
            ahead = self.ahead_of(ticket)
        return Admitted(Verdict.WAITS, ahead, self.expected(ahead), max(0, now - ticket.joined))

    def release(self, members: list[str], remember_ms: int, now: int) -> int:
        self.prune(now)
        freed = 0
        for member in members:
            if member in self.slots:
                _, taken = self.slots.pop(member)
                held = max(0, now - taken)
                self.mean = held if self.mean is None else self.mean + 0.1 * (held - self.mean)
                freed += 1
            elif remember_ms:
                self.ended[member] = now + remember_ms
            if member in self.tickets:
                self.leave(self.tickets[member])
        return freed

    def prune(self, now: int) -> None:
        self.slots = {member: held for member, held in self.slots.items() if held[0] > now}
        self.ended = {member: until for member, until in self.ended.items() if until > now}
        gone = [one for one in self.tickets.values() if one.until <= now]
        for ticket in sorted(gone, key=lambda one: (one.until, one.seat.member)):
            self.leave(ticket)

    @property
    def free(self) -> int:
        return max(0, self.capacity - len(self.slots))

    def line(self) -> list[Ticket]:
        return sorted(self.tickets.values(), key=lambda one: one.order)

    def of_class(self, rank: int) -> list[Ticket]:
        return [one for one in self.line() if one.rank == rank]

    def ahead_of(self, ticket: Ticket) -> int:
        return self.line().index(ticket)

    def expected(self, ahead: int) -> int | None:
        return None if self.mean is None or not self.capacity else ceil((ahead + 1) * self.mean / self.capacity)

    def join(self, seat: Seat, now: int) -> None:
        rank = PRIORITIES.index(seat.priority)
        tags = self.tags.setdefault((rank, seat.tenant), Tags())
        has_others = any(one.seat.tenant == seat.tenant for one in self.of_class(rank))
        start = max(self.virtual.get(rank, 0.0), tags.finish if has_others else tags.served)
        self.number += 1
        ticket = Ticket(seat, start, self.number, now, now + BEAT_MS)
        self.tickets[seat.member] = ticket
        tags.finish = ticket.finish

    def leave(self, ticket: Ticket) -> None:
        del self.tickets[ticket.seat.member]
        if not self.forget_class(ticket.rank):
            tags = self.tags[ticket.rank, ticket.seat.tenant]
            if tags.finish == ticket.finish:
                tags.finish = ticket.start

    def serve(self, ticket: Ticket, now: int) -> None:
        del self.tickets[ticket.seat.member]
        rank = ticket.rank
        if not self.forget_class(rank):
            self.tags[rank, ticket.seat.tenant].served = ticket.finish
            self.virtual[rank] = max(self.virtual.get(rank, 0.0), ticket.start)
        self.count_passed(rank, self.passed, {one.rank for one in self.tickets.values()})
        self.slots[ticket.seat.member] = (now + ticket.seat.lease_ms, now)

    def forget_class(self, rank: int) -> bool:
        if self.of_class(rank):
            return False
        self.tags = {of: tags for of, tags in self.tags.items() if of[0] != rank}
        self.virtual.pop(rank, None)
        self.passed.pop(rank, None)
        return True

    def count_passed(self, rank: int, passed: dict[int, int], waiting: set[int]) -> None:
        if rank in waiting:
            passed[rank] = 0
        for other in waiting:
            if other > rank:
                passed[other] = passed.get(other, 0) + 1

    def next_ones(self) -> list[Ticket]:
        """In turn: the class that was passed over most, of those that were too often, or else the most urgent."""
        lines = [self.of_class(rank) for rank in range(len(PRIORITIES))]
        passed = dict(self.passed)
        found: list[Ticket] = []
        while len(found) < self.free and any(lines):
            waiting = [rank for rank, line in enumerate(lines) if line]
            overdue = [rank for rank in waiting if passed.get(rank, 0) >= PASSED and rank != waiting[0]]
            rank = max(overdue, key=lambda one: (passed[one], one), default=waiting[0])
            if overdue and passed.get(waiting[0], 0) > passed[rank]:
                rank = waiting[0]
            found.append(lines[rank].pop(0))
            self.count_passed(rank, passed, {other for other in waiting if other != rank} | {rank})
        return found
