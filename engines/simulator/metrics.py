"""What the engine says of itself on `/metrics`: those of vLLM's metrics that a gateway reads, with their labels."""

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from engines.simulator.batch import Batch, Place
from engines.simulator.prefixes import BLOCK_TOKENS

_LABELS: Final = ("engine", "model_name")
_FIRST_TOKEN_S: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
    1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip


class Metrics:
    """The metrics of one engine; what changes all the time is read when somebody asks."""

    def __init__(self, model: str, *, max_loras: int, kv_tokens: int) -> None:
        self._registry = CollectorRegistry()
        self._model = model
        self._max_loras = max_loras
        self._kv_tokens = kv_tokens
        self._running = self._gauge("num_requests_running", "Requests being answered.")
        self._waiting = self._gauge("num_requests_waiting", "Requests waiting to be answered.")
        self._reasons = Gauge(
            "vllm:num_requests_waiting_by_reason",
            "Waiting requests: for capacity, or deferred because of their adapter alone.",
            [*_LABELS, "reason"],
            registry=self._registry,
        )
        self._kv_used = self._gauge("kv_cache_usage_perc", "Use of the KV cache; 1 is all of it.")
        self._queries = self._counter("prefix_cache_queries", "Prompt tokens looked up in the prefix cache.")
        self._hits = self._counter("prefix_cache_hits", "Prompt tokens found there.")
        self._prompt = self._counter("prompt_tokens", "Prompt tokens of requests that have run.")
        self._generated = self._counter("generation_tokens", "Tokens generated.")
        self._generated_before = 0
        self._generated_said = 0
        self._first_token = Histogram(
            "vllm:time_to_first_token_seconds",
            "Time from a request's arrival to its first token.",
            _LABELS,
            buckets=_FIRST_TOKEN_S,
            registry=self._registry,
        ).labels("0", model)
        self._ended = Counter(
            "vllm:request_success",
            "Requests that got their whole answer.",
            [*_LABELS, "finished_reason"],
            registry=self._registry,
        )
        self._adapters = Gauge(
            "vllm:lora_requests_info",
            "When these adapters ran and waited last; the newest of the series holds.",
            ["max_lora", "running_lora_adapters", "waiting_lora_adapters"],
            registry=self._registry,
        )
        cache = Gauge(
            "vllm:cache_config_info",
            "The KV cache.",
            ["block_size", "engine", "num_gpu_blocks"],
            registry=self._registry,
        )
        cache.labels(str(BLOCK_TOKENS), "0", str(kv_tokens // BLOCK_TOKENS)).set(1)

    def looked_up(self, prompt_tokens: int, cached: int) -> None:
        """Count a prompt that begins with `cached` known tokens."""
        self._queries.inc(prompt_tokens)
        self._hits.inc(cached)

    def first_token(self, after_s: float) -> None:
        """Count a first token."""
        self._first_token.observe(after_s)

    def left(self, place: Place) -> None:
        """Count what a request got that has run."""
        self._prompt.inc(place.prompt_tokens)
        self._generated_before += place.generated

    def answered(self, finish_reason: str) -> None:
        """Count a whole answer."""
        self._ended.labels("0", self._model, finish_reason).inc()

    def text(self, batch: Batch) -> bytes:
        """Return all of them in Prometheus's format, as they are now."""
        deferred, waiting = batch.deferred, len(batch.waiting)
        self._running.set(len(batch.running))
        self._waiting.set(waiting)
        self._reasons.labels("0", self._model, "capacity").set(waiting - deferred)
        self._reasons.labels("0", self._model, "deferred").set(deferred)
        held = sum(place.prompt_tokens + place.generated for place in batch.running)
        self._kv_used.set(min(1.0, held / self._kv_tokens))
        generated = self._generated_before + sum(place.generated for place in batch.running)
        self._generated.inc(max(0, generated - self._generated_said))
        self._generated_said = max(generated, self._generated_said)
        if self._max_loras:
            names = (_names(batch.running), _names(batch.waiting))
            self._adapters.labels(str(self._max_loras), *names).set(time.time())
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"vllm:{name}", text, _LABELS, registry=self._registry).labels("0", self._model)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"vllm:{name}", text, _LABELS, registry=self._registry).labels("0", self._model)


def _names(places: dict[Place, None]) -> str:
    return ",".join(sorted({place.adapter for place in places if place.adapter is not None}))
