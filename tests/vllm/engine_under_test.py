"""An engine as the contract's tests see it: its own URL, the name of its model, adapters to load."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S: Final = 60.0
WHO: Final = [{"role": "user", "content": "Who are you?"}]
MOST: Final = 3500  # tokens: seconds on either engine, so that it is still answering when a test looks


@dataclass(frozen=True, slots=True)
class EngineUnderTest:
    """`adapters` is a folder with the adapters `acme` and `globex` of rank 8 and `wide` of rank 16."""

    url: str
    model: str
    adapters: Path

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=TIMEOUT_S)

    def post(self, path: str, body: Any) -> httpx2.Response:
        return httpx2.post(self.url + path, json=body, timeout=TIMEOUT_S)

    def load(self, name: str, folder: str, **fields: Any) -> httpx2.Response:
        path = str(self.adapters / folder)
        return self.post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": path, **fields})

    def unload(self, name: str) -> httpx2.Response:
        return self.post("/v1/unload_lora_adapter", {"lora_name": name})

    def unload_all(self) -> None:
        for card in self.cards():
            if card["parent"] is not None:
                assert self.unload(card["id"]).status_code == 200

    def cards(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/v1/models").json()["data"]
        return found

    def ask(self, model: str, **fields: Any) -> dict[str, Any]:
        """A whole chat completion."""
        body = {"model": model, "messages": WHO, "temperature": 0, "max_tokens": 40, **fields}
        answer = self.post("/v1/chat/completions", body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def says(self, model: str) -> str:
        """What it answers to WHO."""
        return str(self.ask(model)["choices"][0]["message"]["content"])

    @contextmanager
    def streams(self, *models: str, tokens: int = MOST) -> Iterator[list[httpx2.Response]]:
        """Answers that have begun, or wait; left at the end as clients leave."""
        asked = {"messages": WHO, "stream": True, "temperature": 0, "max_tokens": tokens, "ignore_eos": True}
        bodies = [{"model": model, **asked, "simulate": {"tokens": tokens}} for model in models]
        with ExitStack() as stack:
            client = stack.enter_context(httpx2.Client(timeout=TIMEOUT_S))
            url = self.url + "/v1/chat/completions"
            opened = [stack.enter_context(client.stream("POST", url, json=body)) for body in bodies]
            assert [answer.status_code for answer in opened] == [200] * len(models)
            yield opened

    def metric(self, name: str, **labels: str) -> float:
        """The value of one series with these labels."""
        values = [value for found, value in self.series(name) if labels.items() <= found.items()]
        assert len(values) == 1, (name, labels, values)
        return values[0]

    def series(self, name: str) -> list[tuple[dict[str, str], float]]:
        answer = self.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        families = list(text_string_to_metric_families(answer.text))
        return [(s.labels, s.value) for family in families for s in family.samples if s.name == name]

    def wait_until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not true():
            assert time.monotonic() < deadline, f"{what}: {self.get('/metrics').text}"
            time.sleep(0.02)

    def wait_for(self, running: int, waiting: int) -> None:
        """Wait until its metrics say so many."""
        names = ("vllm:num_requests_running", "vllm:num_requests_waiting")
        wanted = [float(running), float(waiting)]
        self.wait_until(lambda: [self.metric(name) for name in names] == wanted, f"{running}, {waiting}")


def write_adapters(folder: Path) -> None:
    """Adapters for an engine that computes nothing: files like peft's, each with other weights."""
    for at, (name, rank) in enumerate((("acme", 8), ("globex", 8), ("wide", 16))):
        path = folder / name
        path.mkdir()
        config = {"peft_type": "LORA", "r": rank, "lora_alpha": 16, "target_modules": ["q_proj"]}
        (path / "adapter_config.json").write_text(json.dumps(config))
        header = json.dumps({"lora_A": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
        weights = len(header).to_bytes(8, "little") + header + bytes([at]) * 16
        (path / "adapter_model.safetensors").write_bytes(weights)
