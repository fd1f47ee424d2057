"""One run: the upstream, plain Envoy, the gateway and others side by side, measured in turns, in one report.

Everything is on loopback and ends with the run.
"""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.budgets import measure_budgets
from bench.child import Child, running
from bench.compare import compare
from bench.failure import Failure
from bench.gateway import Gateway, gateway
from bench.measure import Bench
from bench.options import BUDGETS, Options, Progress
from bench.peers import PEERS
from bench.plain import cores, plain_envoy
from bench.ready import until_answered
from bench.report import Report, Samples, report_of
from bench.scenarios import SCENARIOS
from bench.stored import Stored
from bench.subject import Subject, gateway_subject, plain_subject
from headgate.supervise.ports import free_port


def run(options: Options, progress: Progress) -> Report:
    """Measure. Raises Failure when something could not be run; wrong answers are counted in the report."""
    with ExitStack() as stack:
        stack.enter_context(_sigterm_unwinds())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
        upstream_child = stack.enter_context(running("bench.upstream", str(options.interval_s * 1000)))
        client = stack.enter_context(running("bench.client"))
        there = _There(stack, folder, int(upstream_child.line()), upstream_child.pid, client)
        try:
            return _run(options, progress, there)
        except OSError as error:
            raise Failure(f"a process that was measured has ended: {error}") from error


@dataclass(frozen=True, slots=True)
class _There:
    """What a run has: where it writes, its upstream, and the client."""

    stack: ExitStack
    folder: Path
    upstream: int
    upstream_pid: int
    client: Child


def _run(options: Options, progress: Progress, there: _There) -> Report:
    stack, folder, upstream = there.stack, there.folder, there.upstream
    port, samples, bench = free_port(), Samples(), Bench(there.client, options.interval_s)
    plain = plain_subject(port, {"envoy": (stack.enter_context(plain_envoy(folder, port, upstream)),)})
    until_answered(there.client, plain, lambda: None)
    starts = options.starts if BUDGETS in options.only else 1
    for number in range(starts - 1):
        progress("starting the gateway", 0.01 * number)
        with gateway(folder / f"start-{number}", upstream) as started:
            samples.up_s.append(_up_s(there.client, started))
    progress("starting the gateway", 0.02)
    ours = stack.enter_context(gateway(folder / "gateway", upstream))
    samples.up_s.append(_up_s(there.client, ours))
    ours.wait_for_the_rest()
    subject = _subject(ours)
    compared = [SCENARIOS[name] for name in SCENARIOS if name in options.only]
    share = 0.25 if compared else 1.0  # of the bar
    others = [stack.enter_context(PEERS[name](folder, upstream, there.client)) for name in options.against]
    if BUDGETS in options.only:
        measure_budgets(options, lambda what, done: progress(what, share * done), bench, samples, plain, ours, others)
    comparison = None
    if compared:
        direct = plain_subject(upstream, {"upstream": (there.upstream_pid,)}, "direct")
        ways = [direct, plain, subject, *others]
        comparison = compare(
            options.plan, compared, ways, there.client, lambda what, done: progress(what, share + (1 - share) * done)
        )
    ours.check()
    if ours.parts() != dict(subject.pids):
        bench.counts.errors["a part of the gateway was restarted"] += 1
    progress("done", 1.0)
    return report_of(samples, bench.counts, cores(), options.rounds, comparison)


def _up_s(client: Child, started: Gateway) -> float:
    """Seconds from starting `headgate up` to its first answer."""
    probe = gateway_subject(started.port, started.keys, {})
    return until_answered(client, probe, started.check) - started.began


def _subject(started: Gateway) -> Subject:
    return gateway_subject(started.port, started.keys, started.parts(), Stored(started.state))


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
