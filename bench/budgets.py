"""The rounds behind the budgets: plain Envoy, the gateway and others in turns: what else runs meets all alike."""

import time
from collections.abc import Sequence
from dataclasses import replace

from bench import meter
from bench.foreign import FOREIGN
from bench.gateway import CHAT_ONLY_MODEL, LIMITED_MODEL, Gateway, translated_model
from bench.measure import Bench
from bench.options import Options, Progress
from bench.report import Samples
from bench.stored import Stored
from bench.subject import Subject, gateway_subject, limited_subject, responses_subject, translated_subject


def measure_budgets(
    options: Options,
    progress: Progress,
    bench: Bench,
    samples: Samples,
    plain: Subject,
    started: Gateway,
    others: Sequence[Subject],
) -> None:
    """Rounds of plain Envoy, the gateway and the others in turn, into `samples`."""
    subject = gateway_subject(started.port, started.keys, started.parts(), Stored(started.state))
    limited = limited_subject(subject, started.keys["limited"], LIMITED_MODEL)
    progress("idle", 0.1)
    everything = replace(subject, pids={**subject.pids, "supervisor": (started.process.pid,)})
    time.sleep(options.idle_s)  # what a start leaves to be done is no idling
    samples.idle = bench.idle(everything, options.idle_s)
    samples.memory_idle = _memory(subject)
    for one in (plain, subject, limited, *others):
        bench.per_request(one, max(options.requests // 10, options.connections), options.connections)
    for number in range(options.rounds):
        progress(f"round {number + 1} of {options.rounds}", 0.15 + 0.85 * number / options.rounds)
        _streams(bench, samples, options, plain, subject, others)
        _requests(bench, samples, options, plain, subject, limited, others)
    samples.memory_after = _memory(subject)


def _streams(
    bench: Bench, samples: Samples, options: Options, plain: Subject, ours: Subject, others: Sequence[Subject]
) -> None:
    streamed = [(plain, samples.chunks_plain), (ours, samples.chunks_gateway)]
    streamed += [(other, samples.chunks_others.setdefault(other.name, [])) for other in others]
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
    bench: Bench,
    samples: Samples,
    options: Options,
    plain: Subject,
    ours: Subject,
    limited: Subject,
    others: Sequence[Subject],
) -> None:
    for one, requests in (
        (plain, samples.requests_plain),
        (ours, samples.requests_gateway),
        (limited, samples.requests_limited),
        *((other, samples.requests_others.setdefault(other.name, [])) for other in others),
    ):
        requests.append(bench.per_request(one, options.requests, options.connections))
    for one, latencies in ((plain, samples.latency_plain), (ours, samples.latency_gateway)):
        latencies.append(bench.latency(one, options.latency_requests))


def _memory(subject: Subject) -> dict[str, int]:
    return {name: sum(map(meter.pss_bytes, pids)) for name, pids in subject.pids.items()}
