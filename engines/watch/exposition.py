"""What vLLM's `/metrics` says, as far as the gateway goes by it. Pure.

Most of the text, 50 KB of histograms, is about other things. Only the lines that are wanted reach the parser: that
takes 1 ms, and all of them 8 to 12. A value that can't be, and a line that can't be read, is left out and counted.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"
KV_USED = "vllm:kv_cache_usage_perc"  # from 0 to 1, whatever its name says
PROMPT_TOKENS = "vllm:prompt_tokens_total"
GENERATED_TOKENS = "vllm:generation_tokens_total"
PREFIX_QUERIES = "vllm:prefix_cache_queries_total"
PREFIX_HITS = "vllm:prefix_cache_hits_total"
PREEMPTIONS = "vllm:num_preemptions_total"
FIRST_TOKEN = "vllm:time_to_first_token_seconds"  # noqa: S105 - a token of text
LORA = "vllm:lora_requests_info"
STARTED = "process_start_time_seconds"  # not there with several API servers in one vLLM

COUNTERS = (PROMPT_TOKENS, GENERATED_TOKENS, PREFIX_QUERIES, PREFIX_HITS, PREEMPTIONS)
_GAUGES = (RUNNING, WAITING, KV_USED, STARTED)
_FIRST_TOKEN_SAMPLES = tuple(f"{FIRST_TOKEN}_{end}" for end in ("bucket", "sum", "count"))
_NAMES = "|".join(map(re.escape, (*_GAUGES, *COUNTERS, *_FIRST_TOKEN_SAMPLES, LORA)))
_WANTED = re.compile(rf"^(?:{_NAMES})(?=[{{ \t])[^\n]*", re.MULTILINE)
_MOST_LINES = 2_000  # 64 engines in one vLLM, with their histograms
_MOST_CHARS = 8_192  # of a line: names of a hundred adapters
_MOST = 2.0**53


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram: how many took at most so many seconds, by bound; all of them, and the sum of their seconds."""

    buckets: tuple[tuple[float, float], ...]
    count: float
    sum_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One look. None: it does not say, or says what can't be. `counters` are since its start, by vLLM's names.

    `started` is in seconds since the epoch. `running_adapters` are those that requests run with or wait for.
    `junk`: how many lines were left out.
    """

    running: int | None = None
    waiting: int | None = None
    kv_used: float | None = None
    started: float | None = None
    counters: Mapping[str, float] = field(default_factory=dict)
    first_token: Times | None = None
    running_adapters: frozenset[str] = frozenset()
    junk: int = 0


def measured(text: str) -> Measured:
    """What the text says; several engines behind one address count together."""
    lines = [match.group() for match in _WANTED.finditer(text)]
    others = [line for line in lines if not line.startswith(LORA)]
    sound, junk = _sound([*others[:_MOST_LINES], *_newest([line for line in lines if line.startswith(LORA)])])
    by_name = defaultdict(list)
    for sample in sound:
        by_name[sample.name].append(sample)
    running, waiting, kv_used = (_values(by_name[name]) for name in (RUNNING, WAITING, KV_USED))
    first_token, spoiled = _times(by_name)
    return Measured(
        running=round(sum(running)) if running else None,
        waiting=round(sum(waiting)) if waiting else None,
        kv_used=sum(kv_used) / len(kv_used) if kv_used else None,
        started=max(_values(by_name[STARTED]), default=None),
        counters={name: sum(_values(by_name[name])) for name in COUNTERS if by_name[name]},
        first_token=first_token,
        running_adapters=_adapters(by_name[LORA]),
        junk=junk + spoiled + max(len(others) - _MOST_LINES, 0),
    )


def _sound(lines: list[str]) -> tuple[list[Sample], int]:
    """The samples whose values can be, and how many lines have none."""
    try:
        samples = list(_parsed("\n".join(lines)))
    except (ValueError, IndexError, KeyError):  # one broken line among them: each for itself
        samples = [sample for line in lines for sample in _parsed_or_none(line)]
    sound = [sample for sample in samples if _can_be(sample)]
    return sound, len(lines) - len(sound)


def _parsed(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text + "\n"):
        yield from family.samples


def _parsed_or_none(line: str) -> list[Sample]:
    try:
        return list(_parsed(line)) if len(line) <= _MOST_CHARS else []
    except (ValueError, IndexError, KeyError):
        return []


def _can_be(sample: Sample) -> bool:
    value = sample.value
    if not math.isfinite(value) or not 0 <= value <= _MOST:
        return False
    return value <= 1 if sample.name == KV_USED else True


def _values(samples: Iterable[Sample]) -> list[float]:
    return [sample.value for sample in samples]


def _newest(lines: list[str]) -> list[str]:
    """The last word on adapters: the value is when it was written. vLLM keeps a line for each that there ever was."""
    return sorted(lines, key=_written_at)[-1:]


def _written_at(line: str) -> float:
    try:
        at = float(line.rpartition(" ")[2])
    except ValueError:
        return -1.0
    return at if math.isfinite(at) else -1.0


def _adapters(samples: Iterable[Sample]) -> frozenset[str]:
    said = [
        sample.labels.get(name, "")
        for sample in samples
        for name in ("running_lora_adapters", "waiting_lora_adapters")
    ]
    return frozenset(name.strip() for names in said for name in names.split(",") if name.strip())


def _times(by_name: Mapping[str, list[Sample]]) -> tuple[Times | None, int]:
    """The histogram, and how many of its lines are left out because they do not fit together."""
    buckets, sums, counts = (by_name.get(name, []) for name in _FIRST_TOKEN_SAMPLES)
    if not counts and not buckets:
        return None, 0
    reached: dict[float, float] = defaultdict(float)
    for sample in buckets:
        bound = _bound(sample)
        if bound is None:
            return None, len(buckets) + len(sums) + len(counts)
        reached[bound] += sample.value
    count, in_order = sum(_values(counts)), sorted(reached.items())
    levels = [level for _, level in in_order]
    if levels != sorted(levels) or (levels and levels[-1] > count) or len(sums) != len(counts):
        return None, len(buckets) + len(sums) + len(counts)
    finite = tuple((bound, level) for bound, level in in_order if math.isfinite(bound))
    return Times(finite, count, sum(_values(sums))), 0


def _bound(sample: Sample) -> float | None:
    try:
        bound = float(sample.labels.get("le", ""))
    except ValueError:
        return None
    return None if math.isnan(bound) else bound
