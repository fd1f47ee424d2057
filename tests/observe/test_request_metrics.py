"""The spool's lines as metrics, read by the follower's own decoder."""

import json
from pathlib import Path
from typing import Any

import pytest

from headgate import metrics
from ledger.showing import metrics as ledger_metrics
from ledger.showing.metrics import RequestMetrics
from ledger.spool.lines import Line, parsed

RECORDED = Path(__file__).parent / "spool.ndjson"


def line(**fields: Any) -> Line:
    """An `end` line as Envoy writes it, with these fields."""
    plain = {
        "v": 1, "type": "end", "request_id": "r", "tenant": "t", "model": "m", "target": "p", "attempts": 1,
        "status": 200, "flags": "-",
        "prompt_tokens": 5, "completion_tokens": 7, "first_byte_ms": 20, "duration_ms": 90,
    }  # fmt: skip
    found = parsed(json.dumps(plain | fields).encode())
    assert found
    return found


def count(*lines: Line, observer: RequestMetrics | None = None) -> RequestMetrics:
    """Lines that came together."""
    observer = observer or RequestMetrics()
    for one in lines:
        observer.on_line(one)
    observer.flush()
    return observer


class Counts:
    """What the metrics have gained since it was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def gained(self) -> dict[str, float]:
        now = self._now()
        return {
            name: value - self._before.get(name, 0)
            for name, value in now.items()
            if value != self._before.get(name, 0)
        }

    def _now(self) -> dict[str, float]:
        shown = (
            metrics.REQUESTS, metrics.TOKENS, metrics.DURATION, metrics.FIRST_BYTE, metrics.ATTEMPTS,
            metrics.FALLBACKS, metrics.DISCONNECTS, metrics.UNMETERED, metrics.ADAPTER_TOKENS,
        )  # fmt: skip
        return {
            f"{sample.name}{json.dumps(sample.labels, sort_keys=True)}": sample.value
            for metric in shown
            for family in metric.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }


def total(gained: dict[str, float], name: str, **labels: str) -> float:
    return sum(
        value
        for key, value in gained.items()
        if key.startswith(f"{name}{{") and labels.items() <= json.loads(key.removeprefix(name)).items()
    )


def test_lines_that_a_gateway_has_written() -> None:
    counts = Counts()
    lines = [found for text in RECORDED.read_bytes().splitlines() if (found := parsed(text))]
    assert len(lines) == 10
    count(*lines)
    gained = counts.gained()
    assert total(gained, "headgate_requests_total") == 5
    assert total(gained, "headgate_requests_total", status="200", tenant="acme", model="chat", provider="a") == 3
    assert total(gained, "headgate_requests_total", status="401", tenant="", model="", provider="") == 1
    assert total(gained, "headgate_requests_total", status="404", tenant="acme", model="", provider="") == 1
    assert total(gained, "headgate_tokens_total", type="input") == 3
    assert total(gained, "headgate_tokens_total", type="output") == 9
    assert total(gained, "headgate_fallback_requests_total", model="chat", provider="a") == 2
    assert total(gained, "headgate_attempts_total") == 5
    assert total(gained, "headgate_time_to_first_byte_seconds_count") == 3
    assert total(gained, "headgate_request_duration_seconds_count") == 3


@pytest.mark.parametrize(
    ("fields", "name", "by"),
    [
        ({"flags": "DC"}, "headgate_client_disconnects_total", 1),
        ({"flags": "UC,DC"}, "headgate_client_disconnects_total", 1),
        ({"flags": "UDC"}, "headgate_client_disconnects_total", 0),
        ({"prompt_tokens": None, "completion_tokens": None}, "headgate_unmetered_requests_total", 1),
        ({"prompt_tokens": None, "completion_tokens": None, "flags": "DC"}, "headgate_unmetered_requests_total", 0),
        ({"prompt_tokens": None, "completion_tokens": None, "status": 500}, "headgate_unmetered_requests_total", 0),
        ({"completion_tokens": -7}, "headgate_tokens_total", 5),
        ({"cached_tokens": 3, "reasoning_tokens": 2}, "headgate_tokens_total", 17),
        ({"type": "progress"}, "headgate_requests_total", 0),
        ({"type": "start"}, "headgate_requests_total", 0),
        ({"attempts": 3}, "headgate_attempts_total", 3),
        ({"target": None, "attempts": 0}, "headgate_attempts_total", 0),
        ({"first_byte_ms": None}, "headgate_request_duration_seconds_count", 0),
    ],
)
def test_what_counts_as_what(fields: dict[str, Any], name: str, by: float) -> None:
    counts = Counts()
    count(line(**fields))
    assert total(counts.gained(), name) == by


@pytest.mark.parametrize(
    ("status", "label"),
    [(200, "200"), (429, "429"), (0, "0"), (None, "0"), (418, "4xx"), (599, "5xx"), (999, "other")],
)
def test_a_status_is_one_of_few_words(status: int | None, label: str) -> None:
    counts = Counts()
    count(line(status=status))
    assert total(counts.gained(), "headgate_requests_total", status=label) == 1


def test_ever_new_tenants_end_as_other() -> None:
    counts = Counts()
    observer = count(*(line(tenant=f"tenant-{number}") for number in range(ledger_metrics.TENANTS_CAP + 50)))
    count(line(tenant="tenant-0"), observer=observer)
    gained = counts.gained()
    assert total(gained, "headgate_requests_total", tenant="other") == 50
    assert total(gained, "headgate_requests_total", tenant="tenant-0") == 2
    tenants = {
        json.loads(key.removeprefix("headgate_requests_total"))["tenant"]
        for key in gained
        if "requests_total{" in key
    }
    assert len(tenants) == ledger_metrics.TENANTS_CAP + 1


def test_ever_new_combinations_end_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_metrics, "SERIES_CAP", 20)
    counts = Counts()
    count(*(line(tenant=f"pair-{number % 6}", model=f"pair-{number % 5}") for number in range(30)))
    gained = counts.gained()
    assert total(gained, "headgate_requests_total", tenant="other", model="other", provider="p") == 10
    assert total(gained, "headgate_requests_total") == 30


def of_adapter(name: str, version: int = 1, **more: Any) -> Line:
    engine_name = f"{name}@{version}-0a1b2c3d"
    return line(target="llama", model=name, base_model="adapted", upstream_model=engine_name, **more)


def test_tokens_of_adapters_count_by_what_they_are_called_and_not_by_version() -> None:
    counts = Counts()
    count(*(of_adapter("acme/bot", version) for version in range(1, 1000)), line(target="llama", model="adapted"))
    gained = counts.gained()
    assert total(gained, "headgate_adapter_tokens_total", engine="llama", adapter="acme/bot", type="input") == 5 * 999
    assert sum("adapter_tokens_total{" in key for key in gained) == 2  # input and output
    assert total(gained, "headgate_requests_total", model="adapted", provider="llama") == 1000
    assert total(gained, "headgate_requests_total", model="acme/bot") == 0


def test_one_tenant_takes_no_other_ones_series() -> None:
    counts = Counts()
    count(*(of_adapter(f"many/{number}") for number in range(1200)), of_adapter("few/bot"))
    gained = counts.gained()
    assert total(gained, "headgate_adapter_tokens_total", adapter="few/bot", type="input") == 5
    assert total(gained, "headgate_adapter_tokens_total", adapter="other", type="input") == 5 * 1150
