"""What a request is charged: from its line and its price alone."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from headgate.prices import PriceRow
from ledger.pricing.pricing import Pricing
from ledger.settling.charges import MOST_NANO, MOST_TOKENS, NO_CHARGE, Charge, charge_of
from ledger.settling.ends import end_of
from ledger.spool.line_times import began_ms
from ledger.spool.lines import Line

PRICE = PriceRow(Decimal("2.5"), Decimal("1.25"), Decimal(3), Decimal(10))


def line(**fields: Any) -> Line:
    told = {"attempts": 1, "status": 200, "reserved": True, "surface": "chat", "model": "chat", **fields}
    return Line("end", "r", **told)


def charged(line: Line, price: PriceRow | None) -> Charge:
    """At list price; units are a test of their own."""
    return replace(charge_of(line, Pricing(price)), units=0)


@pytest.mark.parametrize(
    ("fields", "charge"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 20}, Charge(1, 100, 20, 450_000)),
        ({"prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 40}, Charge(1, 100, 20, 400_000)),
        ({"prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 101}, Charge(1, 100, 20, 450_000)),
        ({"prompt_tokens": 1, "completion_tokens": 0}, Charge(1, 1, 0, 2_500)),
        # A stream that its client left: what was delivered.
        (
            {"status": 200, "flags": "DC", "estimated_tokens": 90, "content_events": 7},
            Charge(1, 90, 7, 295_000, True),
        ),
        ({"prompt_tokens": 100, "content_events": 7}, Charge(1, 100, 7, 320_000, True)),
        # Engines may put several tokens into one event.
        ({"prompt_tokens": 100, "content_events": 7, "content_bytes": 28}, Charge(1, 100, 7, 320_000, True)),
        ({"prompt_tokens": 100, "content_events": 7, "content_bytes": 29}, Charge(1, 100, 8, 330_000, True)),
        ({"prompt_tokens": 100, "content_bytes": 1}, Charge(1, 100, 1, 260_000, True)),
        ({"prompt_tokens": 1, "content_events": -1, "content_bytes": -9}, Charge(1, 1, 0, 2_500, True)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "content_bytes": 999}, Charge(1, 1, 2, 22_500)),
        ({}, Charge(1, 0, 0, 0, True)),
        # One that left before the answer's head: the provider had the prompt.
        ({"status": 0, "flags": "DC", "estimated_tokens": 90}, Charge(1, 90, 0, 225_000, True)),
        ({"status": 0, "flags": "UF,DR", "estimated_tokens": 90}, Charge(1, 90, 0, 225_000, True)),
        ({"attempts": 0, "status": 0, "flags": "DC", "estimated_tokens": 90, "reserved": True}, Charge(1)),
        # No provider answered, or not well.
        ({"status": 0, "estimated_tokens": 90}, Charge(1)),
        ({"status": 503, "estimated_tokens": 90, "content_events": 1}, Charge(1)),
        ({"status": 500, "prompt_tokens": 10, "completion_tokens": 0}, Charge(1, 10, 0, 25_000)),
        ({"attempts": 0, "status": 429, "reserved": False, "estimated_tokens": 90}, NO_CHARGE),
        ({"attempts": 0, "status": 400, "reserved": None}, NO_CHARGE),
        ({"attempts": 0, "status": 0, "reserved": True}, Charge(1)),
        ({"reserved": None, "prompt_tokens": 1, "completion_tokens": 1}, Charge(1, 1, 1, 12_500)),
        ({"surface": "count_tokens", "estimated_tokens": 90}, Charge(1)),
        ({"surface": "responses.get"}, Charge(1)),
        ({"surface": "responses.cancel", "content_bytes": 900}, Charge(1)),
        # In the background: nothing is known of it but what it may become.
        (
            {"surface": "responses", "estimated_tokens": 9, "estimated_completion_tokens": 77, "content_bytes": 900},
            Charge(1, 9, 77, 792_500, True),
        ),
        (
            {"prompt_tokens": 8, "completion_tokens": 5, "estimated_completion_tokens": 77},
            Charge(1, 8, 5, 70_000),
        ),
        ({"status": 500, "estimated_tokens": 9, "estimated_completion_tokens": 77}, Charge(1)),
        ({"surface": "embeddings", "prompt_tokens": 8}, Charge(1, 8, 0, 20_000)),
        # What can't be a count is none.
        ({"prompt_tokens": -5, "completion_tokens": 2**60, "estimated_tokens": 3}, Charge(1, 3, 0, 7_500, True)),
    ],
)
def test_a_charge_follows_from_the_line(fields: dict[str, Any], charge: Charge) -> None:
    assert charged(line(**fields), PRICE) == charge


SEARCH = PriceRow(*[Decimal(0)] * 4, search=Decimal("0.002"))
IMAGES = PriceRow(*[Decimal(0)] * 4, image=Decimal("0.04"), second=Decimal("0.0001"), character=Decimal("0.000015"))
BOTH = PriceRow(*[Decimal(5)] * 3, Decimal(40), request=Decimal("0.01"), image=Decimal("0.04"))
TOKENS = PriceRow(*[Decimal(5)] * 3, Decimal(40))
REQUEST = PriceRow(*[Decimal(0)] * 4, request=Decimal("0.001"))
DRAWN = {"surface": "images", "unit": "image", "estimated_units": 3, "estimated_tokens": 7, "content_bytes": 10**7}


@pytest.mark.parametrize(
    ("fields", "price", "charge"),
    [
        (DRAWN | {"units": 2}, IMAGES, Charge(1, 0, 0, 80_000_000)),
        (DRAWN | {"units": 0}, IMAGES, Charge(1)),
        (DRAWN, IMAGES, Charge(1, 0, 0, 120_000_000, True)),
        (DRAWN | {"units": -1}, IMAGES, Charge(1, 0, 0, 120_000_000, True)),
        (DRAWN | {"status": 0, "flags": "DC"}, IMAGES, Charge(1, 0, 0, 120_000_000, True)),
        (DRAWN | {"status": 0, "flags": "DC", "attempts": 0}, IMAGES, Charge(1)),
        (DRAWN | {"status": 500}, BOTH, Charge(1)),
        (DRAWN | {"units": 2, "prompt_tokens": 10, "completion_tokens": 20}, IMAGES, Charge(1, 10, 20, 80_000_000)),
        (DRAWN | {"units": 1, "prompt_tokens": 10, "completion_tokens": 20}, BOTH, Charge(1, 10, 20, 50_850_000)),
        (DRAWN | {"units": 1}, BOTH, Charge(1, 0, 0, 50_000_000)),
        (DRAWN | {"prompt_tokens": 10, "completion_tokens": 20}, TOKENS, Charge(1, 10, 20, 850_000)),
        (DRAWN, TOKENS, Charge(1, 7, 18_720, 748_835_000, True)),
        (DRAWN | {"units": 2}, None, Charge(1)),
        (DRAWN | {"prompt_tokens": 10}, None, Charge(1, 10)),
        ({"surface": "speech", "unit": "character", "estimated_units": 1000}, IMAGES, Charge(1, 0, 0, 15_000_000)),
        ({"surface": "speech", "unit": "character", "estimated_units": 9}, TOKENS, Charge(1, 0, 18, 720_000, True)),
        ({"surface": "transcriptions", "unit": "second", "units": 61}, IMAGES, Charge(1, 0, 0, 6_100_000)),
        ({"surface": "moderations", "estimated_tokens": 5}, REQUEST, Charge(1, 5, 0, 1_000_000, True)),
        ({"surface": "rerank", "prompt_tokens": 5}, TOKENS, Charge(1, 5, 0, 25_000)),
        (
            {"surface": "rerank", "unit": "search", "units": 3, "estimated_units": 2},
            SEARCH,
            Charge(1, 0, 0, 6_000_000),
        ),
        ({"surface": "rerank", "unit": "search", "estimated_units": 2}, SEARCH, Charge(1, 0, 0, 4_000_000, True)),
        ({"prompt_tokens": 5, "completion_tokens": 6}, REQUEST, Charge(1, 5, 6, 1_000_000)),
        ({"surface": "count_tokens"}, REQUEST, Charge(1)),
    ],
)
def test_pieces_are_charged_as_reported_or_as_asked_for(
    fields: dict[str, Any], price: PriceRow | None, charge: Charge
) -> None:
    assert charged(line(**fields), price) == charge


def test_money_is_rounded_up_to_a_whole_nano_dollar() -> None:
    price = PriceRow(*[Decimal("0.000000000001")] * 4)
    assert charged(line(prompt_tokens=1, completion_tokens=0), price).usd_nano == 1
    assert charged(line(prompt_tokens=10**9, completion_tokens=0), price).usd_nano == 1
    assert charged(line(prompt_tokens=10**9 + 1, completion_tokens=0), price).usd_nano == 2
    assert charged(line(prompt_tokens=0, completion_tokens=0), price).usd_nano == 0


def test_without_a_price_tokens_count_all_the_same() -> None:
    assert charged(line(prompt_tokens=3, completion_tokens=4), None) == Charge(1, 3, 4)


def test_the_largest_numbers_stay_what_databases_and_scripts_can_hold() -> None:
    price = PriceRow(*[Decimal("999999999999.999999999999")] * 4)
    charge = charged(line(prompt_tokens=MOST_TOKENS, completion_tokens=MOST_TOKENS), price)
    assert charge == Charge(1, MOST_TOKENS, MOST_TOKENS, MOST_NANO)


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({}, True),
        ({"reserved": None}, True),
        ({"reserved": False}, False),
        ({"reserved": None, "model": None, "status": 404}, False),  # refused by its plan, which says so
        ({"reserved": None, "model": None, "surface": None, "status": 0}, True),  # its client did not wait for that
        ({"reserved": None, "model": None, "surface": None, "status": 503}, True),  # the worker died
        ({"reserved": None, "model": None, "status": 500}, True),  # the worker failed to write the plan
        ({"reserved": None, "model": None, "surface": None, "status": 404}, False),
    ],
)
def test_what_nobody_knows_the_plan_of_may_hold_something(fields: dict[str, Any], may: bool) -> None:
    found = line(attempts=0, **fields)
    assert found.may_have_reserved is may
    end = end_of(replace(found, tenant="acme"), "e", lambda _line: Pricing(PRICE))
    assert (end is not None and end.settles) is may
    assert charged(found, PRICE).requests == int(found.reserved is True)


def test_a_request_began_when_its_body_was_there() -> None:
    """That is when it reserved: its duration before its line is its first byte."""
    assert began_ms(line(time="1970-01-02T00:00:00.250Z", duration_ms=251)) == 86_400_000 - 1
    assert began_ms(line(time="1970-01-02T00:00:00.250Z", duration_ms=251, request_ms=1)) == 86_400_000
    assert began_ms(line(time="1970-01-02T00:00:00.250Z", duration_ms=251, request_ms=252)) == 86_400_250
    assert began_ms(line(time="1970-01-02T00:00:00.250Z", duration_ms=251, request_ms=-1)) == 86_400_000 - 1
    assert began_ms(line(time="1970-01-02T00:00:00.250Z")) == 86_400_250
    assert began_ms(line(time="soon")) is began_ms(line()) is None
