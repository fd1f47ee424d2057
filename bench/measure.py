"""One batch each: load on one subject, and the CPU time it cost. Samples in, no judgement."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bench.arithmetic import percentile, slope
from bench.batch import Ask, Batch, Outcome
from bench.child import Child
from bench.subject import Subject


@dataclass(frozen=True, slots=True)
class ChunkSample:
    """CPU µs per streamed chunk, by component."""

    by_component: dict[str, float]

    @property
    def total(self) -> float:
        """Of all components."""
        return sum(self.by_component.values())


@dataclass(frozen=True, slots=True)
class RequestSample:
    """CPU ms per request, by component, and requests per second."""

    by_component: dict[str, float]
    rps: float

    @property
    def total(self) -> float:
        """Of all components."""
        return sum(self.by_component.values())


@dataclass(frozen=True, slots=True)
class LatencySample:
    """Milliseconds of one client's requests, one after the other."""

    p50: float
    p99: float


@dataclass(slots=True)
class Counts:
    """What was sent and came back over the whole run; an error is any answer that was not the expected one."""

    requests: int = 0
    streams: int = 0
    chunks: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Bench:
    """Runs batches through the client process."""

    def __init__(self, client: Child, interval_s: float) -> None:
        self.counts = Counts()
        self._client = client
        self._interval_s = interval_s

    def per_chunk(self, subject: Subject, streams: int, short: int, long: int) -> ChunkSample:
        """The slope between streams of `short` and of `long` chunks."""
        costs = [self.streams(subject, streams, chunks) for chunks in (short, long)]
        return ChunkSample(
            {
                name: slope(short * streams, costs[0][name], long * streams, costs[1][name]) / 1000
                for name in subject.pids
            }
        )

    def per_request(self, subject: Subject, count: int, connections: int) -> RequestSample:
        """Non-streamed requests in a closed loop."""
        batch = self._requests(subject, count, connections)
        outcome, cpu_ns = subject.spent(lambda: self._load(batch))
        self._count_requests(subject, outcome)
        rps = outcome.answered / outcome.wall_s
        return RequestSample({name: ns / 1e6 / count for name, ns in cpu_ns.items()}, rps)

    def latency(self, subject: Subject, count: int) -> LatencySample:
        """One client, one request after the other."""
        outcome = self._load(self._requests(subject, count, 1))
        self._count_requests(subject, outcome)
        times = outcome.of().latencies_ms or [float("nan")]
        return LatencySample(percentile(times, 50), percentile(times, 99))

    def idle(self, subject: Subject, seconds: float) -> dict[str, float]:
        """CPU ms per second while nothing is asked, by component."""
        before = subject.cpu_ns()
        time.sleep(seconds)
        after = subject.cpu_ns()
        return {name: (after[name] - before[name]) / 1e6 / seconds for name in before}

    def streams(self, subject: Subject, streams: int, chunks: int) -> dict[str, int]:
        """So many at once, of so many chunks: nanoseconds of CPU by component."""
        body, within_s = subject.stream_body(chunks), 30 + 3 * chunks * self._interval_s
        batch = Batch(subject.port, [_ask(subject, body, chunks)], within_s, streams, streams)
        outcome, cpu_ns = subject.spent(lambda: self._load(batch), later_too=False)  # it is the same for all lengths
        counts = self.counts
        counts.streams += streams
        counts.chunks += streams * chunks
        counts.errors.update({f"{subject.name}: {text}": count for text, count in outcome.errors.items()})
        usages = subject.frame_usages if subject.hides_usage else chunks + 1  # one in every event
        self._expect(subject, "events", outcome.of().events, outcome.answered * (chunks + subject.frame_events))
        self._expect(subject, "usages", outcome.of().usages, outcome.answered * usages)
        return cpu_ns

    def _requests(self, subject: Subject, count: int, connections: int) -> Batch:
        within_s = 30 + count * 0.05
        return Batch(subject.port, [_ask(subject, subject.body())], within_s, connections, count)

    def _count_requests(self, subject: Subject, outcome: Outcome) -> None:
        self.counts.requests += outcome.answered
        self.counts.errors.update({f"{subject.name}: {text}": count for text, count in outcome.errors.items()})
        self._expect(subject, "usages", outcome.of().usages, outcome.answered)

    def _expect(self, subject: Subject, what: str, found: int, expected: int) -> None:
        if found != expected:
            self.counts.errors[f"{subject.name}: {found} {what} where {expected} were expected"] += 1

    def _load(self, batch: Batch) -> Outcome:
        return msgspec.json.decode(self._client.ask(msgspec.json.encode(batch)), type=Outcome)


def _ask(subject: Subject, body: dict[str, Any], pieces: int = 0) -> Ask:
    return Ask(body, dict(subject.headers), subject.path, pieces=pieces)
