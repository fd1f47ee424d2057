"""What requests cost: exact to the last digit, nothing twice, and unknown where it is not known."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.prices import PriceList, PriceRow
from ledger.pricing.prices import NOTHING, Unpriced, Usage, cost_of, cost_of_request
from ledger.spool.lines import Line, parsed

# As Anthropic has them: a cache read is a tenth of the input, a write a quarter more than it.
PRICE = PriceRow(Decimal(3), Decimal("0.30"), Decimal("3.75"), Decimal(15))
LISTED = PriceList({"chat": PRICE, "free": PriceRow(NOTHING, NOTHING, NOTHING, NOTHING)})

MOST = 2**53 - 1
COUNTS = st.integers(0, MOST)
# All that gateway.yaml takes: up to 12 digits on each side of the point.
MONEY = st.decimals(0, Decimal("999999999999.999999999999"), allow_nan=False, allow_infinity=False, places=12)
PRICES = st.builds(PriceRow, MONEY, MONEY, MONEY, MONEY)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(0, 0), "0"),
        (Usage(1, 0), "0.000003"),
        (Usage(0, 1), "0.000015"),
        (Usage(1_000_000, 1_000_000), "18"),
        (Usage(1000, 500, cached=400), "0.00942"),  # 600 at 3, 400 at 0.30, 500 at 15
        (Usage(1000, 500, cached=400, cache_write=100), "0.009495"),  # 100 of the 600 at 3.75
        (Usage(1000, 0, cached=1000), "0.0003"),
        (Usage(1000, 0, cache_write=1000), "0.00375"),
        (Usage(7, 5, cached=None, cache_write=None), "0.000096"),
        (Usage(MOST, 0), "27021597764.222973"),
        (Usage(None, 5), None),
        (Usage(5, None), None),
        (Usage(None, None), None),
        (Usage(10, 5, cached=11), None),
        (Usage(10, 5, cached=6, cache_write=5), None),
        (Usage(-1, 5), None),
        (Usage(10, -5), None),
        (Usage(10, 5, cached=-1), None),
        (Usage(10, 5, cached=12, cache_write=-2), None),
        (Usage(MOST + 1, 5), None),
        (Usage(5, 10**40), None),
    ],
)
def test_a_cost_is_exact_or_unknown(usage: Usage, usd: str | None) -> None:
    assert cost_of(usage, PRICE) == (None if usd is None else Decimal(usd))


def test_no_float_decides() -> None:
    """0.1 is no binary fraction: as floats, ten of these are 2.9999999999999997e-06."""
    cost = cost_of(Usage(3, 0), PriceRow(*[Decimal("0.1")] * 4))
    assert cost is not None
    assert str(cost) == "3E-7"
    assert sum([cost] * 10, NOTHING) == Decimal("0.000003")


@given(price=PRICES, plain=COUNTS, cached=COUNTS, written=COUNTS, completion=COUNTS)
def test_every_token_is_charged_once(price: PriceRow, plain: int, cached: int, written: int, completion: int) -> None:
    """Against a model in fractions, which cannot round."""
    prompt = plain + cached + written
    cost = cost_of(Usage(prompt, completion, cached, written), price)
    if prompt > MOST:
        assert cost is None
        return
    millions = (
        plain * Fraction(price.input)
        + cached * Fraction(price.cached_input)
        + written * Fraction(price.cache_write)
        + completion * Fraction(price.output)
    )
    assert cost is not None
    assert Fraction(cost) == millions / 1_000_000


@given(price=PRICES, some=st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), max_size=20))
def test_many_cost_what_all_of_them_cost(price: PriceRow, some: list[tuple[int, int]]) -> None:
    costs = [cost_of(Usage(prompt, completion), price) for prompt, completion in some]
    together = cost_of(Usage(sum(one for one, _ in some), sum(one for _, one in some)), price)
    assert together is not None
    assert sum(Fraction(cost) for cost in costs if cost is not None) == Fraction(together)


def line(**fields: Any) -> Line:
    """An `end` line as Envoy writes it, with these fields."""
    plain = {
        "type": "end", "request_id": "r", "tenant": "t", "model": "chat", "target": "p", "surface": "chat",
        "attempts": 1, "status": 200, "prompt_tokens": 1000, "completion_tokens": 500, "price_generation": 1,
    }  # fmt: skip
    found = parsed(json.dumps(plain | fields).encode())
    assert found
    return found


NO_COUNTS = {"prompt_tokens": None, "completion_tokens": None}


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({}, Decimal("0.0105")),
        ({"cached_tokens": 400, "cache_write_tokens": 100}, Decimal("0.009495")),
        ({"reasoning_tokens": 499}, Decimal("0.0105")),  # they are among the 500
        ({"model": "free"}, NOTHING),
        ({"model": "unlisted"}, Unpriced.NO_PRICE),
        ({"model": None}, Unpriced.NO_PRICE),
        (NO_COUNTS, Unpriced.UNKNOWN),
        ({"completion_tokens": None}, Unpriced.UNKNOWN),
        ({"cached_tokens": 1001}, Unpriced.UNKNOWN),
        (NO_COUNTS | {"flags": "DC"}, Unpriced.UNKNOWN),  # its provider has worked
        (NO_COUNTS | {"status": 0, "flags": "DC"}, Unpriced.UNKNOWN),  # it had the prompt
        (NO_COUNTS | {"status": 0, "flags": "DC", "attempts": 0}, NOTHING),
        (NO_COUNTS | {"status": 503}, NOTHING),
        (NO_COUNTS | {"status": 429, "attempts": 0}, NOTHING),
        (NO_COUNTS | {"attempts": None}, NOTHING),
        ({"status": 500}, Decimal("0.0105")),
        ({"surface": "embeddings", "completion_tokens": None}, Decimal("0.003")),
        (NO_COUNTS | {"surface": "embeddings"}, Unpriced.UNKNOWN),
        (NO_COUNTS | {"surface": "count_tokens"}, NOTHING),
    ],
)
def test_which_requests_cost_what(fields: dict[str, Any], cost: Decimal | Unpriced) -> None:
    assert cost_of_request(line(**fields), LISTED) == cost


def test_without_prices_nothing_is_guessed() -> None:
    assert cost_of_request(line(), None) is Unpriced.UNKNOWN
    assert cost_of_request(line(model="unlisted"), None) is Unpriced.UNKNOWN
    assert cost_of_request(line(**NO_COUNTS, status=502), None) == NOTHING


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"unit": "image", "units": 3}, Decimal("0.12")),
        ({"unit": "image", "estimated_units": 3}, Unpriced.UNKNOWN),
        ({"unit": "image", "units": 1, "prompt_tokens": 10, "completion_tokens": 20}, Decimal("0.04")),
        ({"unit": "character", "estimated_units": 7}, Decimal("0.000105")),
        ({"unit": "second", "units": 7}, Unpriced.NO_PRICE),
        ({"surface": "moderations"}, Decimal("0.001")),
        ({"surface": "chat"}, Decimal("0.001")),
        ({"surface": "chat", "status": 500}, NOTHING),
    ],
)
def test_what_pieces_cost(fields: dict[str, Any], cost: Decimal | Unpriced) -> None:
    free = [NOTHING] * 4
    prices = PriceList(
        {
            "image": PriceRow(*free, image=Decimal("0.04")),
            "character": PriceRow(*free, character=Decimal("0.000015")),
            "": PriceRow(*free, request=Decimal("0.001")),
        }
    )
    told = {"attempts": 1, "status": 200, "surface": "images", "model": fields.get("unit", ""), **fields}
    assert cost_of_request(Line("end", "r", **told), prices) == cost
