"""The reserve and settle scripts as plain Python: what they must decide, for any order of calls and any clock."""

from dataclasses import dataclass, field

from ratelimit.limits import Limit


@dataclass
class WindowModel:
    """Buckets by number; a request counts until its bucket is `units` buckets back."""

    limit: Limit
    taken: dict[int, int] = field(default_factory=dict)
    last: int | None = None  # the bucket of the last request that was let in

    def cell(self, now: int) -> int:
        cell = now // self.limit.unit_ms
        if self.last is not None and cell < self.last and self.last - cell <= self.limit.units:
            return self.last  # the clock went back a little
        return cell

    def used(self, now: int) -> int:
        cell = self.cell(now)
        return sum(count for bucket, count in self.taken.items() if 0 <= cell - bucket <= self.limit.units)

    def take(self, now: int) -> None:
        cell = self.cell(now)
        self.taken = {bucket: count for bucket, count in self.taken.items() if 0 <= cell - bucket <= self.limit.units}
        self.taken[cell] = self.taken.get(cell, 0) + 1
        self.last = cell

    def reset_ms(self, now: int) -> int:
        if not self.used(now) or self.last is None:
            return 0
        return (self.last + self.limit.units + 1) * self.limit.unit_ms - now


@dataclass
class Model:
    """One tenant. `records` are requests that reserved something, `closed` those that were settled."""

    limits: tuple[Limit, ...]
    windows: dict[str, WindowModel] = field(init=False)
    slots: dict[str, int] = field(default_factory=dict)
    records: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.windows = {limit.name: WindowModel(limit) for limit in self.limits if limit.kind == "window"}

    def used(self, limit: Limit, now: int) -> int:
        if limit.kind == "slots":
            return sum(ends > now for ends in self.slots.values())
        return self.windows[limit.name].used(now)

    def reserve(self, request: str, now: int, lease_ms: int) -> tuple[str, set[str]]:
        """`allowed`, `again`, `closed` or `refused`, and the limits without room."""
        if request in self.closed:
            return "closed", set()
        if request in self.records:
            return "again", set()
        full = {limit.name for limit in self.limits if self.used(limit, now) >= limit.cap}
        if full:
            return "refused", full
        for window in self.windows.values():
            window.take(now)
        if any(limit.kind == "slots" for limit in self.limits):
            self.slots = {member: ends for member, ends in self.slots.items() if ends > now}
            self.slots[request] = now + lease_ms
        self.records.add(request)
        return "allowed", set()

    def settle(self, request: str) -> bool:
        self.closed.add(request)
        self.records.discard(request)
        return self.slots.pop(request, None) is not None
