"""What is kept of a request: its price and its cost as they were when it began, whatever is killed or changed."""

import datetime as dt
from decimal import Decimal
from typing import Any

from ledger_process import Ledger, end_line, wait_until

from headgate.prices import PriceList, PriceRow, write_prices
from headgate.purses import price_name
from ledger.journal.reader import JournalReader
from ledger.pricing.fits import LEAST_SAMPLES
from ledger.rows import Row
from tests.ledger.spending import E1

CHANGED = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
ONE_DOLLAR = PriceRow(*[Decimal(1)] * 4)
TARGET = price_name("p", "chat", "gpt")


def list_of(usd: int, cost: str) -> PriceList:
    """A price that has changed in March, to twice as much."""
    later = PriceRow(*[Decimal(2 * usd)] * 4, from_ms=int(CHANGED.timestamp() * 1000))
    return PriceList(
        {"chat": PriceRow(*[Decimal(usd)] * 4, later=(later,))},
        costs={TARGET: PriceRow(*[Decimal(cost)] * 4)},
    )


def answered(request_id: str, generation: int, began: dt.datetime = CHANGED, **more: Any) -> bytes:
    """A million tokens each way, at a discount of a tenth; it took a second after its body was there."""
    told = {
        "time": (began + dt.timedelta(seconds=1)).isoformat(timespec="milliseconds"), "duration_ms": 1000,
        "target": "p", "upstream_model": "gpt", "surface": "chat", "attempts": 1, "status": 200, "flags": "-",
        "prompt_tokens": 1_000_000, "completion_tokens": 1_000_000, "price_generation": generation,
        "price_factor": "0.90",
    }  # fmt: skip
    return end_line(request_id, **(told | more))


def rows_of(ledger: Ledger) -> dict[str, Row]:
    reader = JournalReader(ledger.state / "ledger" / "usage.db")
    return {row.request_id: row for entry in reader.after(0, 1000) for row in entry.rows}


def test_a_row_has_the_price_and_the_cost_of_its_request(ledger: Ledger) -> None:
    ledger.alive(E1)
    write_prices(list_of(1, "0.7"), ledger.state / "prices", 1)
    before = CHANGED - dt.timedelta(milliseconds=1)
    ledger.append(E1, answered("old", 1, before) + answered("new", 1) + answered("list", 1, price_factor=None))
    ledger.append(
        E1, answered("unknown", 1, target="other") + answered("none", 1, attempts=0, status=401, target=None)
    )
    ledger.start()
    wait_until(lambda: len(rows_of(ledger)) == 5)
    found = {name: (row.price_nano, row.cost) for name, row in rows_of(ledger).items()}
    assert found == {
        "old": (1_800_000_000, Decimal("1.4")),
        "new": (3_600_000_000, Decimal("1.4")),
        "list": (4_000_000_000, Decimal("1.4")),
        "unknown": (3_600_000_000, None),
        "none": (0, None),
    }


def test_a_change_prices_nothing_again(ledger: Ledger) -> None:
    """Killed in between, and what began before the change comes after it."""
    ledger.alive(E1)
    write_prices(list_of(1, "0.7"), ledger.state / "prices", 1)
    ledger.append(E1, answered("first", 1))
    ledger.start()
    wait_until(lambda: len(rows_of(ledger)) == 1)
    ledger.kill()
    write_prices(list_of(5, "3"), ledger.state / "prices", 2)
    ledger.append(E1, answered("late", 1) + answered("second", 2))
    ledger.start()
    wait_until(lambda: len(rows_of(ledger)) == 3)
    found = {name: (row.price_nano, row.cost, row.price_generation) for name, row in rows_of(ledger).items()}
    assert found["first"] == found["late"] == (3_600_000_000, Decimal("1.4"), 1)
    assert found["second"] == (18_000_000_000, Decimal(6), 2)


def test_what_was_guessed_is_said_and_learned_for_good(ledger: Ledger) -> None:
    """A stream that was left after 300 events of 3 tokens, before and after the ledger was started again."""
    ledger.alive(E1)
    write_prices(PriceList({"chat": ONE_DOLLAR}), ledger.state / "prices", 1)
    stream = {"streamed": True, "bytes_in": 4000, "price_factor": None}
    lesson = {**stream, "prompt_tokens": 1000, "completion_tokens": 300, "content_events": 100, "content_bytes": 1500}
    left = {
        **stream, "flags": "DC", "prompt_tokens": None, "completion_tokens": None, "content_events": 300,
        "content_bytes": 4500,
    }  # fmt: skip
    ledger.append(E1, answered("unlearned", 1, **left))
    ledger.append(E1, b"".join(answered(f"lesson-{at}", 1, **lesson) for at in range(LEAST_SAMPLES)))
    ledger.append(E1, answered("learned", 1, **left))
    ledger.start()
    wait_until(lambda: len(rows_of(ledger)) == LEAST_SAMPLES + 2)
    ledger.end()
    ledger.start()
    ledger.append(E1, answered("after", 1, **left))
    wait_until(lambda: len(rows_of(ledger)) == LEAST_SAMPLES + 3)
    rows = rows_of(ledger)
    found = {
        name: (rows[name].prompt_tokens, rows[name].completion_tokens) for name in ("unlearned", "learned", "after")
    }
    assert found == {"unlearned": (1000, 1125), "learned": (1000, 900), "after": (1000, 900)}
    assert (rows["learned"].estimated, rows["lesson-0"].estimated) == (True, False)
    assert rows["learned"].price_nano == 1_900_000
