"""Queues of engines: who takes slots of which, how many there are, and how long a request may take with its wait."""

from collections.abc import Callable

import pytest

from headgate.compile import compile_snapshot
from headgate.config.check import Checked
from headgate.config.engine_providers import with_engines
from headgate.limits import LimitsRow
from headgate.profiles import profiles_of
from headgate.snapshot import QueueRow, SlotsRow, Snapshot
from headgate.tenant_limits import limits_of
from headgate.written_limits import written_limits

Checking = Callable[[str], Checked]

FILE = """
providers: {openai: {api: openai, base_url: "https://api.openai.com/v1"}}
engines:
  llama: {kind: simulator, replicas: 3, max_running: 8}
  far: {kind: vllm, endpoints: ["http://10.0.0.5:8000"], max_running: 5}
  idle: {kind: simulator}
  tuned: {kind: vllm, endpoints: ["http://10.0.0.7:8000"], max_running: 5, max_loras: 2}
models:
  chat:
    targets: [{provider: llama, model: llama}, {provider: far, model: far}, {provider: openai, model: gpt-4o-mini}]
    queue: {length: 7, max_wait: 90s}
    timeouts: {total: 2m}
  plain: {targets: [{provider: llama, model: llama}, {provider: idle, model: idle}]}
  tuned: {targets: [{provider: tuned, model: tuned}], queue: {max_wait: 10m}, timeouts: {total: 3m}}
  tuned-at-once: {targets: [{provider: tuned, model: tuned}], timeouts: {total: 4m}}
  else: {targets: [{provider: openai, model: gpt-4o-mini}]}
plans:
  gold: {priority: high, share: 4}
  bare: {}
tenants:
  acme: {plan: gold, models: [chat]}
  globex: {plan: gold, limits: {priority: low}, models: [chat]}
  initech: {plan: bare, models: [chat]}
"""


@pytest.fixture
def tables(check_text: Checking) -> Snapshot:
    checked = check_text(FILE)
    assert checked.gateway, checked.problems
    return compile_snapshot(with_engines(checked.gateway), 1, "host-1")


def test_all_models_on_an_engine_with_a_queue_take_its_slots(tables: Snapshot) -> None:
    """A managed engine is one gateway's, an external one of all that share the counters."""
    engines = {name: [one.target.engine for one in chain] for name, chain in tables.chains.items()}
    assert engines == {
        "chat": ["llama/host-1", "far", ""],
        "plain": ["llama/host-1", ""],
        "tuned": ["tuned"],
        "tuned-at-once": ["tuned"],
        "else": [""],
    }
    assert {name: row.engines for name, row in tables.models.items()} == {
        "chat": ("far", "llama/host-1"),
        "plain": ("llama/host-1",),
        "tuned": ("tuned",),
        "tuned-at-once": ("tuned",),
        "else": (),
    }


def test_an_engine_has_the_slots_of_all_its_replicas(tables: Snapshot) -> None:
    cluster = tables.chains["plain"][0].target.cluster
    assert tables.slots["llama/host-1"] == SlotsRow(cluster, 24)
    assert tables.slots["far"].capacity == 5


def test_a_request_may_take_as_long_as_it_waits_and_runs(tables: Snapshot, check_text: Checking) -> None:
    assert tables.models["chat"].queue == QueueRow(7, 90_000)
    assert tables.models["chat"].longest_ms == 210_000
    assert tables.models["plain"].longest_ms == 600_000
    checked = check_text(FILE)
    assert checked.gateway
    waits = {profile.wait_s for profile in profiles_of(checked.gateway) if profile.total_s == 120}
    assert waits == {90}


def test_a_request_may_wait_for_its_adapter_too(tables: Snapshot) -> None:
    assert tables.models["tuned"].longest_ms == 180_000 + 600_000 + 30_000
    assert tables.models["tuned-at-once"].longest_ms == 240_000 + 30_000


def test_how_tenants_wait_is_their_plans_word_or_their_own(tables: Snapshot) -> None:
    assert tables.tenants["acme"].limits == LimitsRow(priority="high", share=4)
    assert tables.tenants["globex"].limits == LimitsRow(priority="low", share=4)
    assert tables.tenants["initech"].limits is None


def test_the_database_says_it_in_the_same_words() -> None:
    plan = written_limits({"rpm": 5, "priority": "high", "share": 4})
    found = limits_of(plan, written_limits({"share": 2}), {})
    assert found
    assert (found.priority, found.share) == ("high", 2)
    for wrong in ({"priority": "urgent"}, {"share": 0}, {"share": 1001}):
        with pytest.raises(ValueError, match=r"urgent|whole number"):
            written_limits(wrong)
