"""An engine's slots and its queue as plain Python: lists that are sorted anew each time."""

from dataclasses import dataclass, field
from math import ceil

from headgate.counters.queue import ANYWHERE, BEAT_MS, NOBODY, Admitted, Looked, Seat, Verdict
from headgate.limits import PRIORITIES
from headgate.spreading import ALWAYS, FACTOR

PASSED = 8
VIEW_MS = 3000


@dataclass
class Ticket:
    seat: Seat
    start: float
    number: int
    joined: int
    until: int
    reach: tuple[str, ...] | None = None  # None: anywhere

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
class Held:
    """A slot: the end of its lease, when it was taken, where it is."""

    end: int
    since: int
    replica: str


@dataclass
class QueueModel:
    slots: dict[str, Held] = field(default_factory=dict)  # by member
    tickets: dict[str, Ticket] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    tags: dict[tuple[int, str], Tags] = field(default_factory=dict)
    virtual: dict[int, float] = field(default_factory=dict)
    passed: dict[int, int] = field(default_factory=dict)
    views: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)  # by gateway: when it saw what
    sizes: dict[str, int] = field(default_factory=dict)  # of the replicas that are there
    number: int = 0
    mean: float | None = None

    def admit(self, seat: Seat, now: int) -> Admitted:
        self.see(seat.gateway, dict(seat.places.replicas), now)
        self.prune(now)
        member, waits = seat.member, seat.member in self.tickets
        if member in self.ended:
            return Admitted(Verdict.ENDED, 0, None, 0)
        if member in self.slots:
            return Admitted(Verdict.SLOT, 0, 0, 0, self.slots[member].replica)
        own = [name for name, _ in seat.places.replicas]
        only = seat.places.only
        is_bound = only == NOBODY or (only > 0 and ANYWHERE not in own and bool(own))
        mine = own[: max(only, 0)] if is_bound else own
        if seat.length is None and waits:
            return self.serve(self.tickets[member], now, self.anyhow(mine))
        at_once = None if waits else self.at_once(seat, mine)
        if at_once is not None:
            return self.take(seat, now, at_once, 0)
        ticket = self.tickets[member] if waits else self.join(seat, now)
        is_anywhere = not is_bound and (ANYWHERE in own or set(own) == set(self.sizes))
        ticket.until, ticket.reach = now + BEAT_MS, None if is_anywhere else tuple(sorted(mine))
        turns = self.next_ones()
        if member in turns:
            replica = self.chosen(mine, turns[member])
            assert replica is not None
            return self.serve(ticket, now, replica)
        out = None if waits else self.put_out(ticket)
        if out is not None:
            return out
        ahead = self.ahead_of(ticket)
        return Admitted(Verdict.WAITS, ahead, self.expected(ahead), max(0, now - ticket.joined))

    def see(self, gateway: str, replicas: dict[str, int], now: int) -> None:
        self.views = {name: view for name, view in self.views.items() if now - view[0] < VIEW_MS}
        self.views[gateway] = now, replicas
        said = [pair for _, view in self.views.values() for pair in view.items()]
        named = [pair for pair in said if pair[0] != ANYWHERE] or said
        self.sizes = {name: max(size for other, size in named if other == name) for name, _ in named}

    def look(self, gateway: str, replicas: dict[str, int], now: int) -> Looked:
        self.see(gateway, replicas, now)
        self.prune(now)
        is_known = bool(self.tickets) or self.capacity > 0
        held = sum(self.taken.values()) + self.nowhere
        return Looked(held, len(self.tickets), is_known and len(self.next_ones()) >= self.free)

    def at_once(self, seat: Seat, mine: list[str]) -> str | None:
        if seat.length is None:
            return self.anyhow(mine)
        picky = any(one.reach is not None for one in self.tickets.values())
        return self.chosen(mine, self.rooms) if not picky and len(self.tickets) < self.free else None

    def anyhow(self, mine: list[str]) -> str:
        found = self.chosen(mine, self.rooms)
        found = self.least_busy(mine) if found is None else found
        return ANYWHERE if found is None else found

    def put_out(self, ticket: Ticket) -> Admitted | None:
        """One that has just joined, or another one in its place."""
        seat, ahead = ticket.seat, self.ahead_of(ticket)
        expected = self.expected(ahead)
        assert seat.length is not None
        if seat.patience_ms is not None and expected is not None and expected > seat.patience_ms:
            self.leave(ticket)
            return Admitted(Verdict.TOO_LATE, ahead, expected, 0)
        if self.of_model(seat.model) <= seat.length:
            return None
        out = self.last_one(seat.model, seat.length)
        self.leave(out)
        return Admitted(Verdict.FULL, ahead, expected, 0) if out is ticket else None

    def take(self, seat: Seat, now: int, replica: str, waited: int) -> Admitted:
        self.slots[seat.member] = Held(now + seat.lease_ms, now, replica)
        return Admitted(Verdict.SLOT, 0, 0, waited, replica)

    def release(self, members: list[str], remember_ms: int, now: int) -> int:
        self.prune(now)
        freed = 0
        for member in members:
            if member in self.slots:
                slot = self.slots.pop(member)
                if slot.replica in (*self.sizes, ANYWHERE) or ANYWHERE in self.sizes:
                    held = max(0, now - slot.since)
                    self.mean = held if self.mean is None else self.mean + 0.1 * (held - self.mean)
                freed += 1
            elif remember_ms:
                self.ended[member] = now + remember_ms
            if member in self.tickets:
                self.leave(self.tickets[member])
        return freed

    def prune(self, now: int) -> None:
        self.slots = {member: held for member, held in self.slots.items() if held.end > now}
        self.ended = {member: until for member, until in self.ended.items() if until > now}
        gone = [one for one in self.tickets.values() if one.until <= now]
        for ticket in sorted(gone, key=lambda one: (one.until, one.seat.member)):
            self.leave(ticket)

    def held_at(self, name: str) -> int:
        return len([slot for slot in self.slots.values() if name == slot.replica])

    @property
    def taken(self) -> dict[str, int]:
        if ANYWHERE in self.sizes:
            return {ANYWHERE: len(self.slots)}
        return {name: self.held_at(name) for name in self.sizes}

    @property
    def rooms(self) -> dict[str, int]:
        return {name: max(0, size - self.taken[name]) for name, size in self.sizes.items()}

    @property
    def nowhere(self) -> int:
        """Held by those of whom nobody knows where they are."""
        return 0 if ANYWHERE in self.sizes else self.held_at(ANYWHERE)

    @property
    def free(self) -> int:
        return max(0, sum(self.rooms.values()) - self.nowhere)

    @property
    def capacity(self) -> int:
        return sum(self.sizes.values())

    def chosen(self, names: list[str], rooms: dict[str, int]) -> str | None:
        taken = self.taken
        if ANYWHERE in names and ANYWHERE not in self.sizes:
            return ANYWHERE
        share = FACTOR * (sum(taken.values()) + self.nowhere + 1) / max(self.capacity, 1)
        for name in names:
            if rooms[name] > 0 and taken[name] < max(ceil(share * self.sizes[name]), ceil(ALWAYS * self.sizes[name])):
                return name
        return self.least_busy([name for name in names if rooms[name] > 0])

    def least_busy(self, names: list[str]) -> str | None:
        return min(names, key=lambda name: self.taken[name] / max(self.sizes[name], 1), default=None)

    def line(self) -> list[Ticket]:
        return sorted(self.tickets.values(), key=lambda one: one.order)

    def of_class(self, rank: int) -> list[Ticket]:
        return [one for one in self.line() if one.rank == rank]

    def of_model(self, model: str) -> int:
        return len([one for one in self.tickets.values() if one.seat.model == model])

    def ahead_of(self, ticket: Ticket) -> int:
        own = self.of_class(ticket.rank).index(ticket)
        urgent = len([one for one in self.tickets.values() if one.rank < ticket.rank])
        return own + min(urgent, max(0, PASSED * (own + 1) - self.passed.get(ticket.rank, 0)))

    def last_one(self, model: str, length: int) -> Ticket:
        lines = [[one for one in self.of_class(rank) if one.seat.model == model] for rank in range(len(PRIORITIES))]
        kept = max(1, length // PASSED)
        return [*(line for line in lines if line), *(line for line in lines if len(line) > kept)][-1][-1]

    def expected(self, ahead: int) -> int | None:
        return None if self.mean is None or not self.capacity else ceil((ahead + 1) * self.mean / self.capacity)

    def join(self, seat: Seat, now: int) -> Ticket:
        rank = PRIORITIES.index(seat.priority)
        tags = self.tags.setdefault((rank, seat.tenant), Tags())
        has_others = any(one.seat.tenant == seat.tenant for one in self.of_class(rank))
        start = max(self.virtual.get(rank, 0.0), tags.finish if has_others else tags.served)
        self.number += 1
        ticket = Ticket(seat, start, self.number, now, now + BEAT_MS)
        self.tickets[seat.member] = ticket
        tags.finish = ticket.finish
        return ticket

    def leave(self, ticket: Ticket) -> None:
        del self.tickets[ticket.seat.member]
        if not self.forget_class(ticket.rank):
            tags = self.tags[ticket.rank, ticket.seat.tenant]
            if tags.finish == ticket.finish:
                tags.finish = ticket.start

    def serve(self, ticket: Ticket, now: int, replica: str) -> Admitted:
        del self.tickets[ticket.seat.member]
        rank = ticket.rank
        if not self.forget_class(rank):
            self.tags[rank, ticket.seat.tenant].served = ticket.finish
            self.virtual[rank] = max(self.virtual.get(rank, 0.0), ticket.start)
        self.count_passed(rank, self.passed, {one.rank for one in self.tickets.values()})
        return self.take(ticket.seat, now, replica, max(0, now - ticket.joined))

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

    def next_ones(self) -> dict[str, dict[str, int]]:
        """In turn: the class that was passed over most, of those that were too often, or else the most urgent.

        Who may go to some replicas only is passed over while these have no room. Of each what is left for it.
        """
        lines = [self.of_class(rank) for rank in range(len(PRIORITIES))]
        passed, rooms = dict(self.passed), self.rooms
        found: dict[str, dict[str, int]] = {}
        while len(found) < self.free:
            for line in lines:
                while line and not self.has_room(line[0], rooms):
                    line.pop(0)
            waiting = [rank for rank, line in enumerate(lines) if line]
            if not waiting:
                break
            overdue = [rank for rank in waiting if passed.get(rank, 0) >= PASSED and rank != waiting[0]]
            rank = max(overdue, key=lambda one: (passed[one], one), default=waiting[0])
            if overdue and passed.get(waiting[0], 0) > passed[rank]:
                rank = waiting[0]
            ticket = lines[rank].pop(0)
            found[ticket.seat.member] = dict(rooms)
            if ticket.reach is not None:
                rooms[next(name for name in ticket.reach if rooms.get(name, 0))] -= 1
            self.count_passed(rank, passed, {other for other in waiting if other != rank} | {rank})
        return found

    def has_room(self, ticket: Ticket, rooms: dict[str, int]) -> bool:
        return ticket.reach is None or any(rooms.get(name, 0) for name in ticket.reach)
