"""One run: the upstream, plain Envoy and the gateway side by side, measured in turns, in one report.

Everything is on loopback and ends with the run. Rounds alternate plain, gateway, plain, gateway: what else the
machine does meets both alike.
"""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bench import meter
from bench.child import Child, running
from bench.client import Batch, Outcome
from bench.failure import Failure
from bench.foreign import FOREIGN
from bench.gateway import CHAT_ONLY_MODEL, LIMITED_MODEL, MODEL, Gateway, gateway, translated_model
from bench.measure import Bench
from bench.plain import cores, plain_envoy
from bench.report import Report, Samples, report_of
from bench.subject import (
    Subject,
    gateway_subject,
    limited_subject,
    plain_subject,
    responses_subject,
    translated_subject,
)
from headgate.supervise.ports import free_port

_READY_WITHIN_S = 60.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Options:
    """How much of everything. `short` and `long` are content chunks per stream.

    With `translations`, streams of every other API are measured, and responses; without, those of the first API.
    """

    rounds: int = 7
    interval_s: float = 0.01
    streams: int = 32
    short: int = 60
    long: int = 300
    requests: int = 3000
    connections: int = 64
    latency_requests: int = 500
    starts: int = 3
    idle_s: float = 5.0
    translations: bool = False


QUICK = Options(rounds=2, long=240, requests=1000, latency_requests=200, starts=1, idle_s=1.0)

Progress = Callable[[str, float], None]  # what runs now, and how much of the run is done (0 to 1)


def run(options: Options, progress: Progress) -> Report:
    """Measure. Raises Failure when something could not be run; wrong answers are counted in the report."""
    with ExitStack() as stack:
        stack.enter_context(_sigterm_unwinds())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
        upstream_child = stack.enter_context(running("bench.upstream", str(options.interval_s * 1000)))
        upstream = int(upstream_child.line())
        client = stack.enter_context(running("bench.client"))
        try:
            return _run(options, progress, stack, folder, upstream, client)
        except OSError as error:
            raise Failure(f"a process that was measured has ended: {error}") from error


def _run(
    options: Options, progress: Progress, stack: ExitStack, folder: Path, upstream: int, client: Child
) -> Report:
    bench, samples = Bench(client, options.interval_s), Samples()
    port = free_port()
    plain = plain_subject(port, stack.enter_context(plain_envoy(folder, port, upstream)))
    _until_answered(client, plain, lambda: None)
    for number in range(options.starts - 1):
        progress("starting the gateway", 0.02 * number)
        with gateway(folder / f"start-{number}", upstream) as started:
            samples.up_s.append(_up_s(client, started))
    progress("starting the gateway", 0.05)
    ours = stack.enter_context(gateway(folder / "gateway", upstream))
    samples.up_s.append(_up_s(client, ours))
    ours.wait_for_the_rest()
    subject = _subject(ours)
    limited = limited_subject(subject, ours.limited_key, LIMITED_MODEL)

    progress("idle", 0.1)
    everything = replace(subject, pids={**subject.pids, "supervisor": (ours.process.pid,)})
    time.sleep(options.idle_s)  # what a start leaves to be done is no idling
    samples.idle = bench.idle(everything, options.idle_s)
    samples.memory_idle = _memory(subject)
    for one in (plain, subject, limited):
        bench.per_request(one, max(options.requests // 10, options.connections), options.connections)
    for number in range(options.rounds):
        progress(f"round {number + 1} of {options.rounds}", 0.15 + 0.85 * number / options.rounds)
        _streams(bench, samples, options, plain, subject)
        _requests(bench, samples, options, plain, subject, limited)
    samples.memory_after = _memory(subject)
    ours.check()
    if ours.parts() != dict(subject.pids):
        bench.counts.errors["a part of the gateway was restarted"] += 1
    progress("done", 1.0)
    return report_of(samples, bench.counts, cores(), options.rounds)


def _streams(bench: Bench, samples: Samples, options: Options, plain: Subject, ours: Subject) -> None:
    streamed = [(plain, samples.chunks_plain), (ours, samples.chunks_gateway)]
    for name, translated in _translations(ours, options).items():
        streamed.append((translated, samples.chunks_translated.setdefault(name, [])))
    for one, chunks in streamed:
        chunks.append(bench.per_chunk(one, options.streams, options.short, options.long))


def _translations(ours: Subject, options: Options) -> dict[str, Subject]:
    """What is translated, by the name of its row: the providers' APIs, then responses in one step and in two."""
    apis = [foreign.api for foreign in FOREIGN]
    if not options.translations:
        return {apis[0]: translated_subject(ours, translated_model(apis[0]))}
    found = {api: translated_subject(ours, translated_model(api)) for api in apis}
    found["responses"] = responses_subject(ours, CHAT_ONLY_MODEL, "responses")
    name = f"responses on {apis[0]}"
    return found | {name: responses_subject(ours, translated_model(apis[0]), name)}


def _requests(
    bench: Bench, samples: Samples, options: Options, plain: Subject, ours: Subject, limited: Subject
) -> None:
    for one, requests in (
        (plain, samples.requests_plain),
        (ours, samples.requests_gateway),
        (limited, samples.requests_limited),
    ):
        requests.append(bench.per_request(one, options.requests, options.connections))
    for one, latencies in ((plain, samples.latency_plain), (ours, samples.latency_gateway)):
        latencies.append(bench.latency(one, options.latency_requests))


def _up_s(client: Child, started: Gateway) -> float:
    """Seconds from starting `headgate up` to its first answer."""
    probe = gateway_subject(started.port, started.key, MODEL, {})
    _until_answered(client, probe, started.check)
    return time.monotonic() - started.began


def _until_answered(client: Child, subject: Subject, check: Callable[[], None]) -> None:
    batch = Batch(subject.port, dict(subject.headers), subject.body(), 1, 1, within_s=5)
    line = msgspec.json.encode(batch)
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        outcome = msgspec.json.decode(client.ask(line), type=Outcome)
        if outcome.answered:
            return
        check()
        if time.monotonic() > deadline:
            raise Failure(f"{subject.name} does not answer: {outcome.errors}")
        time.sleep(_POLL_S)


def _subject(started: Gateway) -> Subject:
    return gateway_subject(started.port, started.key, MODEL, started.parts())


def _memory(subject: Subject) -> dict[str, int]:
    return {name: sum(map(meter.pss_bytes, pids)) for name, pids in subject.pids.items()}


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM end what we started on its way out, as Ctrl-C does."""

    def leave(signum: int, _frame: object) -> None:
        raise SystemExit(128 + signum)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
