"""Prices of generations, as the ledger's process finds them on disk: whichever it needs, whenever it comes back."""

import datetime as dt
import os
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_process import Ledger, end_line, wait_until
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from redis import Redis

from headgate.prices import PriceList, PriceRow, priced_generations, read_prices, write_prices
from tests.counters.valkey_server import ValkeyServer
from tests.stopped import stop

E1, E2 = "20260101T000000-aaaaaa", "20260101T000001-bbbbbb"
DAY_S = 86_400.0


class Priced(Ledger):
    """A ledger whose metrics can be read, of all its processes so far."""

    def __init__(self, state: Path, valkey: Path, counted: Path) -> None:
        super().__init__(state, valkey)
        self._counted, self._prices = counted, state / "prices"

    def prices(self, generation: int, usd: str, *, age_s: float = 0.0) -> None:
        """Every token of `chat` costs so much per million, by this generation; it came up so long ago."""
        write_prices(PriceList({"chat": PriceRow(*[Decimal(usd)] * 4)}), self._prices, generation)
        then = time.time() - age_s
        os.utime(self._prices / f"{generation}.json", (then, then))

    def generations(self) -> list[int]:
        return list(priced_generations(self._prices))

    def counts(self, name: str) -> dict[tuple[str, ...], float]:
        """Samples of a metric by the values of their labels, which are in the order of their names."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._counted))  # type: ignore[no-untyped-call]
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name == name
        }

    def usd(self) -> float:
        """What all requests have cost; rounded, since a metric is a float."""
        return round(sum(self.counts("headgate_cost_usd_total").values()), 9)

    def unpriced(self) -> float:
        return sum(self.counts("headgate_unpriced_requests_total").values())

    def ends(self) -> float:
        return self.counts("headgate_ledger_lines_total").get(("end",), 0)


@pytest.fixture
def priced(server: ValkeyServer, valkey: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Priced]:
    """Not started yet."""
    counted = tmp_path / "counted"
    counted.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(counted))
    ledger = Priced(tmp_path / "state", server.socket, counted)
    yield ledger
    print(ledger.log())  # noqa: T201 - pytest shows it when the test failed
    ledger.close()


def answered(request_id: str, generation: int | None, **more: Any) -> bytes:
    """One million tokens each way, so that a request costs twice its price."""
    fields: dict[str, Any] = {
        "target": "p", "surface": "chat", "attempts": 1, "status": 200, "flags": "-", "prompt_tokens": 1_000_000,
        "completion_tokens": 1_000_000, "price_generation": generation,
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
    }  # fmt: skip
    return end_line(request_id, **(fields | more))


def test_each_request_is_priced_by_the_generation_that_it_began_with(priced: Priced) -> None:
    """Those that end after a change as well, whatever runs by then."""
    priced.alive(E1)
    priced.prices(1, "0.1")
    priced.start()
    priced.append(E1, answered("a", 1) + answered("free", 1, model="no-price"))
    wait_until(lambda: priced.usd() == 0.2)
    priced.prices(2, "10")
    priced.append(E1, answered("new", 2) + answered("old", 1) + answered("theirs", 2, tenant="globex"))
    wait_until(lambda: priced.usd() == 40.4)
    assert priced.counts("headgate_cost_usd_total") == {("chat", "p", "acme"): 20.4, ("chat", "p", "globex"): 20}
    assert priced.unpriced() == 0


def test_a_ledger_that_was_away_over_changes_prices_as_if_it_had_not(priced: Priced) -> None:
    """Killed before lines that it has not seen, of every generation that there was meanwhile."""
    priced.alive(E1)
    priced.prices(1, "0.1")
    priced.append(E1, answered("a", 1))
    priced.start()
    wait_until(lambda: priced.usd() == 0.2)
    wait_until(lambda: (priced.state / "ledger/checkpoint.json").exists() and priced.checkpoint()["files"][0]["read"])
    priced.kill()
    for generation in range(2, 40):  # more than are kept in memory
        priced.prices(generation, f"{generation}")
        priced.append(E1, answered(f"new-{generation}", generation) + answered(f"old-{generation}", 1))
    priced.start()
    wait_until(lambda: priced.usd() == round(0.2 + 2 * sum(range(2, 40)) + 38 * 0.2, 9))
    assert priced.ends() == 77
    assert priced.unpriced() == 0


def test_a_generation_without_prices_is_told_once_and_its_requests_are_counted(priced: Priced) -> None:
    priced.alive(E1)
    priced.prices(1, "1")
    priced.prices(3, "1")
    (priced.state / "prices/3.json").write_text('{"models": {"chat": {"inp')
    lines = [answered(f"r{number}", 2) for number in range(20)]
    priced.append(E1, b"".join(lines) + answered("broken", 3) + answered("none", None) + answered("a", 1))
    priced.append(E1, answered("refused", 2, status=429, attempts=0, prompt_tokens=None, completion_tokens=None))
    priced.start()
    wait_until(lambda: priced.usd() == 2)
    assert priced.unpriced() == 22
    told = priced.logged("prices are unknown, requests stay unpriced")
    assert [line["generation"] for line in told] == [2, 3, None]
    priced.prices(2, "1")  # as from a backup

    def one_more() -> bool:
        priced.append(E1, answered("later", 2))
        time.sleep(0.1)
        return priced.usd() > 2

    wait_until(one_more)


def test_prices_that_can_not_be_read_are_waited_for(priced: Priced) -> None:
    """Nothing is free meanwhile, and nothing is counted twice."""
    priced.alive(E1)
    priced.prices(1, "1")
    (priced.state / "prices/2.json").mkdir()
    priced.append(E1, answered("a", 1) + answered("b", 2))
    priced.start()
    wait_until(lambda: priced.logged("prices can't be read: settling waits"))
    time.sleep(1.5)  # more than one turn
    assert (priced.usd(), priced.unpriced(), priced.ends()) == (2, 0, 1)
    assert priced.process
    stop(priced.process.pid)  # in between there is no file, and nothing to wait for
    (priced.state / "prices/2.json").rmdir()
    priced.prices(2, "10")
    priced.process.send_signal(signal.SIGCONT)
    wait_until(lambda: priced.usd() == 22)
    assert (priced.unpriced(), priced.ends()) == (0, 2)
    wait_until(lambda: len(priced.journal()) == 2)
    assert [row.price_nano for row in priced.journal()] == [2_000_000_000, 20_000_000_000]
    assert len(priced.logged("prices can't be read: settling waits")) == 1


def test_what_is_not_reported_is_counted_and_costs_nothing(priced: Priced) -> None:
    priced.alive(E1)
    priced.prices(1, "1")
    priced.append(E1, answered("cut", 1, completion_tokens=None) + answered("known", 1))
    priced.append(E1, answered("no price", 1, model="other", completion_tokens=None))
    priced.start()
    wait_until(lambda: priced.ends() == 3)
    assert priced.usd() == 2
    assert priced.counts("headgate_unpriced_requests_total") == {("chat", "p"): 1}


def test_prices_go_when_no_line_and_no_request_can_name_them(priced: Priced) -> None:
    """A generation may be named for two days after the next one came, and while the spool is older than that."""
    for generation, age in ((1, 30), (2, 20), (3, 9.5), (4, 5), (5, 1)):
        priced.prices(generation, "1", age_s=age * DAY_S)
    priced.alive(E1, E2)
    week_ago = (dt.datetime.now(dt.UTC) - dt.timedelta(days=7)).isoformat(timespec="milliseconds")
    priced.append(f"{E1}.000001", answered("old", 3, time=week_ago))
    priced.append(E1, answered("new", 5))
    priced.append(E2, b"")
    priced.start()
    wait_until(lambda: priced.generations() == [3, 4, 5])  # 2 was followed nine and a half days ago
    wait_until(lambda: priced.usd() == 4)
    priced.kill()
    priced.path(f"{E1}.000001").unlink()
    priced.start()
    wait_until(lambda: priced.generations() == [4, 5])
    priced.kill()
    priced.path(E1).write_bytes(b"half a line")
    priced.start()
    wait_until(lambda: priced.says().get("lines") == 0)
    assert priced.generations() == [4, 5]


def test_prices_of_a_generation_stay_as_they_were_first(tmp_path: Path) -> None:
    """And what cannot be read is written again."""
    folder, chat = tmp_path / "prices", PriceRow(*[Decimal("0.10")] * 4)
    write_prices(PriceList({"chat": chat}), folder, 7)
    write_prices(PriceList({}), folder, 7)
    assert read_prices(folder / "7.json") == PriceList({"chat": chat})
    assert str(read_prices(folder / "7.json").models["chat"].input) == "0.10"
    assert (folder / "7.json").stat().st_mode & 0o777 == 0o600
    (folder / "7.json").write_bytes(b'{"models": {"chat"')
    write_prices(PriceList({}), folder, 7)
    assert read_prices(folder / "7.json") == PriceList({})
    assert [path.name for path in folder.iterdir()] == ["7.json"]
