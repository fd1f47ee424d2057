"""What strategies go by, over a real server: of which gateway, for how long, and in how many bytes."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from headgate.feed.figures import MOST_FIGURES, Figures, Known, Mean
from headgate.feed.messages import FIGURES_CHANNEL, decoded, figures_alone
from headgate.snapshot import Snapshot, write_snapshot
from tests.counters.valkey_server import ValkeyServer
from tests.feed.edge import Engine, cluster, edge, name_of, record_parts
from tests.feed.ends import figures_of, telling, until
from tests.ledger.ledger_process import Ledger

A, B = "provider/a@0123456789", "provider/b@0123456789"
FAST = {(A, "m", True): Mean(120.0, 4.0)}


async def test_all_workers_of_all_gateways_hear_them_and_late_ones_too(url: str) -> None:
    async with telling(url, "g1") as publisher, figures_of(url, "g1") as own, figures_of(url, "g2") as other:
        publisher.take_figures(FAST, {"chat": Mean(77.0, 9.0)})
        publisher.take_load({A: 3})
        for figures in (own, other):
            await until(lambda figures=figures: figures.time_ms(A, "m", streams=True) == 120.0)
            assert (figures.load(A), figures.load(B), figures.answer_tokens("chat")) == (3, 0, 77.0)
            assert figures.time_ms(A, "m", streams=False) is figures.answer_tokens("x") is None
        async with figures_of(url, None) as late:
            await until(lambda: late.load(A) == 3)
        publisher.take_load(None)
        await until(lambda: own.load(A) is None)


async def test_load_is_that_of_all_gateways_speed_that_of_ones_own(url: str) -> None:
    async with telling(url, "g1") as first, telling(url, "g2") as second, figures_of(url, "g1") as figures:
        first.take_load({A: 3})
        second.take_load({A: 4, B: 1})
        await until(lambda: (figures.load(A), figures.load(B)) == (7, 1))
        second.take_figures({(A, "m", True): Mean(500.0, 1.0)}, {})
        await until(lambda: figures.time_ms(A, "m", streams=True) == 500.0)
        first.take_figures(FAST, {})
        await until(lambda: figures.time_ms(A, "m", streams=True) == 120.0)


async def test_who_is_heard_no_more_is_forgotten(url: str) -> None:
    async with telling(url, "g1") as first, figures_of(url, "g1") as figures:
        first.take_load({A: 3})
        async with telling(url, "g2") as second:
            second.take_load({A: 4})
            await until(lambda: figures.load(A) == 7)
        await until(lambda: figures.load(A) == 3)
    await until(lambda: figures.load(A) is None)


async def test_nothing_is_told_where_no_strategy_asks(url: str, valkey: Redis) -> None:
    listener = valkey.pubsub()
    listener.subscribe(FIGURES_CHANNEL)
    async with telling(url, "g1") as publisher, figures_of(url, "g1") as figures:
        publisher.take_figures({}, {})
        publisher.take_load(None)
        await asyncio.sleep(2.5)
        assert figures.load(A) is None
    types = [one["type"] for one in iter(lambda: listener.get_message(timeout=0.1), None)]
    assert types == ["subscribe"]
    listener.close()


def test_ones_own_choices_count_for_all_who_choose_alike() -> None:
    figures = Figures("g1", workers=4)
    figures.choose(A)  # nobody has said anything
    assert figures.load(A) is None
    figures.take("g1", Known(load={A: 2}))
    figures.choose(B)
    assert (figures.load(A), figures.load(B)) == (2, 4)
    figures.take("g2", Known(load={A: 1}))
    assert (figures.load(A), figures.load(B)) == (3, 4)  # only one's own gateway shows what became of choices
    figures.take("g1", Known(load={A: 2, B: 1}))
    assert (figures.load(A), figures.load(B)) == (3, 1)
    figures.choose(B)
    assert figures.load(B) == 9


def test_others_count_by_what_they_are_worth() -> None:
    figures = Figures(None)
    figures.take("g1", Known({(A, "m", True): Mean(100, 3)}))
    figures.take("g2", Known({(A, "m", True): Mean(200, 1)}))
    assert figures.time_ms(A, "m", streams=True) == 125


def test_a_message_is_bounded() -> None:
    long = "x" * 128
    times = {(f"{long}{number}", long, True): Mean(1 / 3, 1 / 3) for number in range(2 * MOST_FIGURES)}
    load = {f"{long}{number}": number for number in range(2 * MOST_FIGURES)}
    answers = {f"{long}{number}": Mean(1 / 3, 1 / 3) for number in range(2 * MOST_FIGURES)}
    text = figures_alone("g1", Known(times, load, answers)).encode()
    assert len(text) < 500_000
    said = decoded(text)
    assert said
    assert said.figures
    assert len(said.figures.times) == len(said.figures.load or ()) == len(said.figures.answers) == MOST_FIGURES
    assert said.figures.times[0].ms == 0.333
    assert msgspec.json.decode(text)["gateway"] == "g1"


@pytest.fixture
def engine() -> Iterator[Engine]:
    running = Engine()
    yield running
    running.close()


@pytest.fixture
def ledger(server: ValkeyServer, url: str, tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "state", server.socket)
    yield ledger
    print(ledger.log())  # noqa: T201 - pytest shows it when the test failed
    ledger.close()


async def test_what_envoy_is_busy_with_is_told(ledger: Ledger, url: str, engine: Engine, tmp_path: Path) -> None:
    """Of the providers that the tables name, and no others."""
    clusters = [cluster("busy", engine.port), cluster("idle", engine.port), cluster("other", engine.port)]
    tables = Snapshot(1, 0, 1, [], {}, {}, loads={name: name_of(name) for name in ("busy", "idle")})
    write_snapshot(tables, ledger.state / "snapshot.json")
    with edge(tmp_path, "20260101T000000-aaaaaa", *clusters) as envoy:
        record_parts(ledger.state, envoy)
        ledger.start()
        gateway = (ledger.state / "gateway-id").read_text().strip()
        asking = [
            threading.Thread(target=envoy.ask, args=(f"/{name}/slow",)) for name in ("busy", "busy", "busy", "other")
        ]
        async with figures_of(url, gateway) as figures:
            await until(lambda: figures.load(name_of("busy")) == 0)
            for thread in asking:
                thread.start()
            await until(lambda: figures.load(name_of("busy")) == 3)
            assert (figures.load(name_of("idle")), figures.load(name_of("other"))) == (0, 0)
            engine.release.set()
            await until(lambda: figures.load(name_of("busy")) == 0)
    for thread in asking:
        thread.join()
