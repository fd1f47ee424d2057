"""What the load client is told and what it answers, as JSON lines. Pure."""

from typing import Any

import msgspec

CHAT = "/v1/chat/completions"


class Ask(msgspec.Struct, frozen=True):
    """One kind of request. `label` keeps its figures apart from those of other kinds in the same batch.

    An answer is right when it has one of these statuses and says `says` once, if that is not empty, and the `pieces`
    of a stream (answers.py), each once and in their order, if that is not 0.
    """

    body: dict[str, Any]
    headers: dict[str, str] = {}
    path: str = CHAT
    label: str = ""
    statuses: tuple[int, ...] = (200,)
    says: str = ""
    pieces: int = 0


class Batch(msgspec.Struct, frozen=True):
    """Requests to a loopback port, `asks` in turn.

    Closed loop: over `connections` connections, each sending its next request when the last one was answered, until
    `count` are sent or `seconds` have passed. Open loop, with a `rate`: requests arrive at random (Poisson) so many
    times a second for `seconds`, whether others were answered or not; each takes a free connection, or a new one.
    """

    port: int
    asks: list[Ask]
    within_s: float
    connections: int = 1
    count: int | None = None
    seconds: float | None = None
    rate: float | None = None
    seed: int = 1


class Seen(msgspec.Struct):
    """Of the right answers with one label. `events` and `usages` are totals; times are in ms, one per answer.

    `first_ms` is the time to the first event and `gaps_ms` those between one event and the next, of streams alone.
    In an open loop times begin when a request was due.
    """

    answered: int = 0
    events: int = 0
    usages: int = 0
    latencies_ms: list[float] = []
    first_ms: list[float] = []
    gaps_ms: list[float] = []


class Outcome(msgspec.Struct):
    """What came of a batch. `errors` counts texts; `opened` connections; `late_ms` is how late requests left."""

    seen: dict[str, Seen] = {}
    errors: dict[str, int] = {}
    wall_s: float = 0.0
    opened: int = 0
    late_ms: list[float] = []

    def of(self, label: str = "") -> Seen:
        """What was seen of these; nothing, if no answer was right."""
        return self.seen.get(label, Seen())

    @property
    def answered(self) -> int:
        """Right answers of all labels."""
        return sum(one.answered for one in self.seen.values())
