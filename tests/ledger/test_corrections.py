"""What the ledger learns of prompts from what providers report: how soon, how far, and from which lines."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from headgate.counters.address import parsed
from headgate.feed.factors import HIGHEST, LOWEST, MOST_FACTORS, ByModel, Factors
from headgate.feed.states import TargetStates
from headgate.feed.subscriber import Subscriber
from headgate.limits import LimitsRow
from headgate.snapshot import Snapshot, TargetRow, TenantRow
from ledger.spool.lines import Line
from ledger.spool.lines import parsed as parsed_line
from ledger.telling.corrections import CORRECTIONS, LEAST_SAMPLES, Corrections
from tests.counters.valkey_server import ValkeyServer
from tests.ledger.in_memory import tables_of
from tests.ledger.ledger_process import Ledger, end_line
from tests.ledger.limited_tenant import write_tables
from tests.ledger.webhook_receiver import until

EPOCH = "20260101T000000-aaaaaa"
LLAMA, CLAUDE = ("openai", "llama"), ("anthropic", "claude")


def target(provider: str, api: str, model: str) -> TargetRow:
    return TargetRow(provider, api, f"provider/{provider}@0", model, "request", 0, 1, 1)


ROWS = [target("local", *LLAMA), target("claude", *CLAUDE)]
SNAPSHOT = Snapshot(1, 0, 1, [], {"acme": TenantRow({"chat": ROWS}, LimitsRow())}, {})


def line(counted: int | None, reported: int | None, **more: Any) -> Line:
    told = {"target": "local", "upstream_model": "llama", "status": 200, "attempts": 1, "surface": "chat"}
    found = parsed_line(end_line("a", **{**told, "counted_tokens": counted, "prompt_tokens": reported, **more}))
    assert found
    return found


class Told:
    """Corrections, and what they have told last."""

    def __init__(self, snapshot: Snapshot | None = SNAPSHOT) -> None:
        self.factors: ByModel = {}
        self.times = 0
        self.corrections = Corrections(self.take, tables_of(snapshot))

    def take(self, factors: ByModel) -> None:
        self.factors = dict(factors)
        self.times += 1

    def learn(self, number: int, counted: int | None, reported: int | None, **more: Any) -> ByModel:
        for _ in range(number):
            self.corrections.on_line(line(counted, reported, **more))
        self.corrections.save()
        return self.factors


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ledger").mkdir()


def test_twenty_prompts_make_a_factor() -> None:
    told = Told()
    assert told.learn(LEAST_SAMPLES - 1, 1000, 1300) == {}
    assert told.learn(1, 1000, 1300) == {LLAMA: 1.3}


def test_it_does_not_feed_on_itself() -> None:
    """The estimates have the factor in them, the counts that it is learned from have not."""
    told = Told()
    for factor in (1.0, 1.3, 1.69, 0.5):
        assert told.learn(200, 1000, 1300, estimated_tokens=round(1000 * factor)) == {LLAMA: 1.3}
    assert told.times == 1


def test_it_follows_a_provider_that_changes() -> None:
    told = Told()
    told.learn(500, 1000, 1300)
    (factor,) = told.learn(100, 1000, 900).values()
    assert 0.9 < factor < 1.3
    assert told.learn(2000, 1000, 900) == {LLAMA: 0.9}
    assert told.learn(3000, 1000, 1000) == {}


def test_short_prompts_weigh_little() -> None:
    told = Told()
    told.learn(100, 5, 40)
    assert told.factors == {}
    told.learn(100, 2000, 2000)
    assert told.factors == {} or told.factors[LLAMA] < 1.05


def test_nobody_moves_it_out_of_bounds() -> None:
    told = Told()
    assert told.learn(50, 1000, 10**15) == {LLAMA: HIGHEST}
    assert told.learn(3000, 1000, 1) == {LLAMA: LOWEST}
    (factor,) = told.learn(300, 1000, 1000).values()
    assert factor > 0.75  # a few hundred honest ones later


@pytest.mark.parametrize(
    "more",
    [
        {"type": "progress"},
        {"type": "start"},
        {"attempts": 2},
        {"attempts": 0},
        {"status": 429},
        {"status": 0},
        {"target": "another"},
        {"upstream_model": "another"},
        {"tenant": "nobody"},
        {"tenant": None},
        {"model": "gone"},
        {"counted_tokens": None},
        {"counted_tokens": 0},
        {"counted_tokens": -5},
        {"prompt_tokens": None},
        {"prompt_tokens": 0},
        {"prompt_tokens": -5},
    ],
    ids=str,
)
def test_lines_that_say_nothing(more: dict[str, Any]) -> None:
    assert Told().learn(100, 1000, 2000, **more) == {}


def test_before_there_are_tables_nothing_is_learned() -> None:
    assert Told(None).learn(100, 1000, 2000) == {}


def test_a_model_of_another_api_has_its_own() -> None:
    told = Told()
    told.learn(50, 1000, 2000)
    assert told.learn(50, 1000, 1500, target="claude", upstream_model="claude") == {LLAMA: 2.0, CLAUDE: 1.5}


def test_it_is_kept() -> None:
    Told().learn(LEAST_SAMPLES, 1000, 1300)
    again = Told()
    assert again.factors == {LLAMA: 1.3}
    assert CORRECTIONS.stat().st_mode & 0o777 == 0o600
    assert again.learn(1, 1000, 1300) == {LLAMA: 1.3}


@pytest.mark.parametrize("text", ["", "{", '{"means": 7}', '{"version": 99, "means": []}', "[]"])
def test_a_file_that_is_broken_is_learned_anew(text: str) -> None:
    CORRECTIONS.write_text(text)
    with capture_logs() as lines:
        told = Told()
    assert told.factors == {}
    assert len(lines) == (0 if "99" in text else 1)
    assert told.learn(LEAST_SAMPLES, 1000, 1300) == {LLAMA: 1.3}
    assert Told().factors == {LLAMA: 1.3}


def test_models_that_nobody_uses_any_more_make_room() -> None:
    rows = [target("local", "openai", f"m{at}") for at in range(MOST_FACTORS + 1)]
    told = Told(Snapshot(1, 0, 1, [], {"acme": TenantRow({"chat": rows}, LimitsRow())}, {}))
    for at in range(MOST_FACTORS):
        told.learn(LEAST_SAMPLES, 1000, 2000, upstream_model=f"m{at}")
    told.learn(1, 1000, 2000, upstream_model="m0")
    told.learn(LEAST_SAMPLES, 1000, 2000, upstream_model=f"m{MOST_FACTORS}")
    assert len(told.factors) == MOST_FACTORS
    assert ("openai", "m0") in told.factors
    assert ("openai", "m1") not in told.factors


async def test_a_worker_hears_what_the_ledger_has_learned_before_and_after_its_restart(
    ledger: Ledger, server: ValkeyServer, valkey: Redis
) -> None:
    write_tables(ledger)
    ledger.alive(EPOCH)
    await asyncio.to_thread(ledger.start)
    factors = Factors()
    subscriber = Subscriber(parsed(f"unix://{server.socket}"), None, TargetStates(), factors)
    subscriber.start()
    told = {"target": "local", "upstream_model": "llama", "status": 200, "attempts": 1, "reserved": False}
    counts = {"prompt_tokens": 1300, "counted_tokens": "1000", "completion_tokens": 1}
    ledger.append(EPOCH, b"".join(end_line(f"r{at}", **told, **counts) for at in range(LEAST_SAMPLES)))
    await until(lambda: factors.of(*LLAMA) == 1.3)
    await until(lambda: ledger.checkpoint_of("corrections"))
    await subscriber.close()
    ledger.kill()
    await asyncio.to_thread(ledger.start)
    late = Factors()
    subscriber = Subscriber(parsed(f"unix://{server.socket}"), None, TargetStates(), late)
    subscriber.start()
    await until(lambda: late.of(*LLAMA) == 1.3)
    await subscriber.close()
