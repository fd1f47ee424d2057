"""How engines stand, as their part says it on its own socket: a JSON line to whoever connects.

For `/readyz` and `/metrics`. It has the addresses of engines, and no credential.
"""

import msgspec


class TimesSaid(msgspec.Struct, frozen=True):
    """A histogram in seconds: how many by the bounds that they did not pass (all of them apart), and their sum."""

    buckets: list[tuple[float, float]]
    count: float
    sum: float


class ReplicaStanding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One replica. `detail` says what is wrong, without an address; `state` is the feed's.

    `counters` are the engine's own since its start, by the names of `engines/watch/exposition.py`. `failures` are
    looks that found trouble, by kind; `junk` lines of metrics that were left out; both since the part's start.
    """

    engine: str
    address: str
    state: str
    since: float
    capacity: int
    detail: str | None = None
    running: int | None = None
    waiting: int | None = None
    kv_used: float | None = None
    adapters: int | None = None
    adapters_in_use: int | None = None
    counters: dict[str, float] = {}
    first_token: TimesSaid | None = None
    restarts: int = 0
    failures: dict[str, int] = {}
    junk: int = 0


class GpuStanding(msgspec.Struct, frozen=True):
    """A GPU of this host; `used` is the share of the last moments in which it computed, from 0 to 1."""

    index: int
    used: float
    memory_used_bytes: int
    memory_bytes: int


class SlotsStanding(msgspec.Struct, frozen=True):
    """An engine that requests wait for: its slots, how many are held, how many wait, whether others would have to."""

    engine: str
    capacity: int
    held: int
    waiting: int
    is_full: bool


class EnginesStanding(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is watched. `engines` are those that the configuration has."""

    engines: list[str]
    replicas: list[ReplicaStanding] = []
    gpus: list[GpuStanding] = []
    slots: list[SlotsStanding] = []
