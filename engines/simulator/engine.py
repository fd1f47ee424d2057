"""The engine behind the API: who may run, which adapter answers, what it knows of the prompt, what it counts."""

from dataclasses import replace

import msgspec

from engines.simulator.adapters import Adapter, Adapters
from engines.simulator.answer import Answer
from engines.simulator.batch import Batch, Place
from engines.simulator.bodies import Generation
from engines.simulator.errors import ModelError
from engines.simulator.metrics import Metrics
from engines.simulator.options import Options
from engines.simulator.prefixes import Prefixes, prompt_words
from engines.simulator.record import Exchange


class Engine:
    """One for a simulator."""

    def __init__(self, options: Options) -> None:
        self._model = options.model
        self._prefixes = Prefixes(options.prefix_cache)
        self._metrics = Metrics(options.model, max_loras=options.max_loras, kv_tokens=options.kv_tokens)
        self.batch = Batch(options.max_running, options.max_loras, self._metrics.left)
        self.adapters = Adapters(
            options.model,
            max_loras=options.max_loras,
            max_cpu_loras=options.max_cpu_loras,
            max_lora_rank=options.max_lora_rank,
        )

    def adapter_of(self, model: str | None) -> Adapter | None:
        """Return the adapter that a request asks for; None for the base model.

        With adapters a name must be known, as in vLLM; without, any name will do. Raises `ModelError` and
        `DeadEngineError`.
        """
        if not self.adapters.enabled or model is None or model == self._model:
            return None
        adapter = self.adapters.used(model)
        if adapter is None:
            raise ModelError(model)
        return adapter

    def prefilled(self, body: Generation, answer: Answer, adapter: Adapter | None) -> tuple[Answer, float]:
        """Look the prompt up in the prefix cache: the answer with `cached_tokens`, and the share left to compute."""
        if not self._prefixes:
            return answer, 1.0
        cached = self._prefixes.cached(adapter.weights if adapter else "", prompt_words(body))
        self._metrics.looked_up(answer.prompt_tokens, cached)
        if body.simulate.cached_tokens is None:
            answer = replace(answer, simulate=msgspec.structs.replace(answer.simulate, cached_tokens=cached))
        return answer, (answer.prompt_tokens - cached) / answer.prompt_tokens

    def place(self, exchange: Exchange, answer: Answer, adapter: Adapter | None) -> Place:
        """Return the place in the batch that a request has to take."""
        return Place(
            self.batch,
            exchange,
            adapter=adapter.name if adapter else None,
            prompt_tokens=answer.prompt_tokens,
            tokens=answer.usage.completion_tokens,
            tokens_per_event=answer.simulate.tokens_per_event,
            first_token=self._metrics.first_token,
        )

    def answered(self, answer: Answer) -> None:
        """Count an answer that was sent whole."""
        self._metrics.answered("length" if answer.choices[0].finish_reason == "length" else "stop")

    def metrics(self) -> bytes:
        """Return what `/metrics` says."""
        return self._metrics.text(self.batch)
