"""What a request is charged and what it costs, by the prices of its moment and its tenant's terms: exactly."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.prices import PriceList, PriceRow
from headgate.purses import price_name
from ledger.journal.making import row_of
from ledger.pricing.prices import Unpriced, cost_of_request
from ledger.pricing.pricing import Guess, Pricing, pricing_of, provider_pricing_of
from ledger.settling.charges import MOST_NANO, MOST_TOKENS, Charge, charge_of
from ledger.settling.ends import end_of
from ledger.spool.lines import Line

CHANGED = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
CHANGED_MS = int(CHANGED.timestamp() * 1000)

LATER = PriceRow(*[Decimal(2)] * 4, from_ms=CHANGED_MS)
CHAT = PriceRow(*[Decimal(1)] * 4, later=(LATER,))
LISTED = PriceList(
    models={"chat": CHAT},
    costs={price_name("p", "chat", "gpt"): PriceRow(*[Decimal("0.7")] * 4)},
    own_costs={"own": {price_name("p", "chat", "gpt"): PriceRow(*[Decimal("0.5")] * 4)}},
)

COUNTS = st.integers(0, MOST_TOKENS)
MONEY = st.decimals(0, Decimal("999999999999.999999999999"), allow_nan=False, allow_infinity=False, places=12)
FACTORS = st.one_of(
    st.decimals(0, 1, places=6, allow_nan=False), st.decimals(1, 11, places=6, allow_nan=False), st.just(Decimal(1))
)
ROWS = st.builds(
    PriceRow, MONEY, MONEY, MONEY, MONEY, st.none() | MONEY, st.none() | MONEY, reasoning=st.none() | MONEY
)


def line(**fields: Any) -> Line:
    told = {
        "tenant": "acme", "attempts": 1, "status": 200, "surface": "chat", "model": "chat", "target": "p",
        "upstream_model": "gpt", "reserved": True, **fields,
    }  # fmt: skip
    return Line("end", "r", **told)


def millions(count: int = 1, **fields: Any) -> Line:
    """So many million tokens of prompt, and as many of answer."""
    return line(**{"prompt_tokens": count * 10**6, "completion_tokens": count * 10**6, **fields})


def at(moment: dt.datetime, **fields: Any) -> Line:
    """A request of two million tokens whose body was there then; it took a minute after that."""
    ended = moment + dt.timedelta(minutes=1)
    return millions(time=ended.isoformat(), duration_ms=61_000, request_ms=1000, **fields)


def charged(found: Line, prices: PriceList | None = LISTED) -> Charge:
    return charge_of(found, pricing_of(found, prices))


def test_each_request_is_charged_by_the_price_of_its_moment() -> None:
    before, after = at(CHANGED - dt.timedelta(milliseconds=1), tenant="plain"), at(CHANGED, tenant="plain")
    assert (charged(before).usd_nano, charged(after).usd_nano) == (2 * 10**9, 4 * 10**9)
    assert [cost_of_request(one, LISTED) for one in (before, after)] == [2, 4]


def test_a_price_that_is_changed_leaves_what_began_before_alone() -> None:
    """Each by the list of its generation, whatever the next one says."""
    changed = PriceList({"chat": PriceRow(*[Decimal(9)] * 4)})
    request = at(CHANGED, tenant="plain")
    assert (charged(request, LISTED).usd_nano, charged(request, changed).usd_nano) == (4 * 10**9, 18 * 10**9)


@pytest.mark.parametrize(
    ("tenant", "factor", "usd", "cost"),
    [
        ("acme", "0.9", "1.8", "1.4"),
        ("own", "1.2", "2.4", "1"),
        ("acme", None, "2", "1.4"),
        ("acme", "0", "0", "1.4"),
        ("acme", "11.000000", "22", "1.4"),
    ],
)
def test_terms_change_what_tenants_pay_and_not_what_providers_take(
    tenant: str, factor: str | None, usd: str, cost: str
) -> None:
    request = millions(tenant=tenant, price_factor=factor)
    found = charged(request)
    assert (found.usd_nano, found.cost) == (Decimal(usd) * 10**9, Decimal(cost))
    assert cost_of_request(request, LISTED) == Decimal(usd)


def test_a_budget_counts_what_its_provider_takes_whoever_asks() -> None:
    prices = replace(LISTED, providers={price_name("p", "chat", "gpt"): CHAT})
    found = at(CHANGED)
    assert charge_of(found, provider_pricing_of(found, prices)).usd_nano == 4 * 10**9
    assert charge_of(found, provider_pricing_of(found, LISTED)).usd_nano == 0


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"target": "local"}, None),
        ({"upstream_model": "other"}, None),
        ({"status": 503, "prompt_tokens": None, "completion_tokens": None}, Decimal(0)),
        ({"status": 503, "target": "local", "prompt_tokens": None, "completion_tokens": None}, None),
    ],
)
def test_a_cost_that_nobody_says_is_none(fields: dict[str, Any], cost: Decimal | None) -> None:
    assert charged(millions(**fields)).cost == cost


def test_without_prices_tokens_still_count() -> None:
    assert charged(millions(), None) == Charge(1, 10**6, 10**6)


def test_reasoning_has_its_price_where_one_is_given() -> None:
    price = PriceRow(*[Decimal(1)] * 4, reasoning=Decimal(5))
    for thought, usd in ((0, 1), (400_000, 2.6), (1_000_000, 5), (1_000_001, 1), (None, 1)):
        found = line(prompt_tokens=0, completion_tokens=1_000_000, reasoning_tokens=thought)
        assert charge_of(found, Pricing(price)).usd_nano == usd * 10**9
        assert charge_of(found, Pricing(replace(price, reasoning=None))).usd_nano == 10**9


@given(price=ROWS, factor=FACTORS, parts=st.tuples(*[COUNTS] * 5), units=COUNTS)
def test_a_charge_is_exact_and_rounded_up_once(
    price: PriceRow, factor: Decimal, parts: tuple[int, ...], units: int
) -> None:
    """Against a model in fractions, which cannot round."""
    plain, cached, written, said, thought = (count // 4 for count in parts)
    found = line(
        prompt_tokens=plain + cached + written, completion_tokens=said + thought, cached_tokens=cached,
        cache_write_tokens=written, reasoning_tokens=thought, unit="image", units=units,
    )  # fmt: skip
    of_thought = price.output if price.reasoning is None else price.reasoning
    counted = ((plain, price.input), (cached, price.cached_input), (written, price.cache_write))
    made = ((said, price.output), (thought, of_thought))
    usd = sum((count * Fraction(each) for count, each in (*counted, *made)), Fraction(0)) / 10**6
    usd += Fraction(price.request or 0) + units * Fraction(price.image or 0)
    charge = charge_of(found, Pricing(price, factor, price))
    assert charge.usd_nano == min(ceil(usd * Fraction(factor) * 10**9), MOST_NANO)
    assert charge.cost is not None
    assert Fraction(charge.cost) == min(usd, Fraction(MOST_NANO, 10**9))
    assert (charge.input, charge.output, charge.units) == (plain + cached + written, said + thought, units)
    assert not charge.estimated


@given(price=ROWS, factor=FACTORS, counts=st.tuples(COUNTS, COUNTS), more=st.tuples(COUNTS, COUNTS))
def test_more_tokens_never_cost_less(
    price: PriceRow, factor: Decimal, counts: tuple[int, int], more: tuple[int, int]
) -> None:
    few, many = (
        charge_of(line(prompt_tokens=prompt // 2, completion_tokens=made // 2), Pricing(price, factor))
        for prompt, made in (counts, (counts[0] + more[0], counts[1] + more[1]))
    )
    assert 0 <= few.usd_nano <= many.usd_nano <= MOST_NANO


@given(price=ROWS, counts=st.tuples(COUNTS, COUNTS), factors=st.tuples(FACTORS, FACTORS))
def test_better_terms_never_cost_more(
    price: PriceRow, counts: tuple[int, int], factors: tuple[Decimal, Decimal]
) -> None:
    found = line(prompt_tokens=counts[0], completion_tokens=counts[1])
    low, high = (charge_of(found, Pricing(price, factor, price)) for factor in sorted(factors))
    assert low.usd_nano <= high.usd_nano
    assert low.cost == high.cost
    assert charge_of(found, Pricing(price, Decimal(0))).usd_nano == 0


@given(price=ROWS, prompt=COUNTS, made=COUNTS)
def test_what_is_guessed_is_charged_as_if_it_had_been_reported(price: PriceRow, prompt: int, made: int) -> None:
    guessed = charge_of(line(), Pricing(price, cost=price, guess=Guess(prompt, made)))
    told = charge_of(line(prompt_tokens=prompt, completion_tokens=made), Pricing(price, cost=price))
    assert guessed == replace(told, estimated=True)


def test_what_was_counted_before_is_better_than_a_guess_by_bytes() -> None:
    found = line(estimated_tokens=90, content_events=3)
    assert charge_of(found, Pricing(guess=Guess(70, 5))) == Charge(1, 90, 5, 0, True)


def test_without_a_price_nothing_is_guessed_of_money() -> None:
    assert cost_of_request(line(), LISTED) is Unpriced.UNKNOWN


def test_an_adapter_is_charged_and_costs_what_its_base_model_does() -> None:
    base, version = millions(), "acme/bot@3-9c56cc51"
    of_adapter = millions(model="acme/bot", base_model="chat", upstream_model=version)
    assert pricing_of(of_adapter, LISTED) == pricing_of(base, LISTED)
    assert pricing_of(of_adapter, LISTED).cost == LISTED.costs[price_name("p", "chat", "gpt")]
    assert cost_of_request(of_adapter, LISTED) == cost_of_request(base, LISTED) != 0
    of_budget = PriceList({}, providers={price_name("p", "chat", "gpt"): CHAT})
    assert provider_pricing_of(of_adapter, of_budget) == provider_pricing_of(base, of_budget) != Pricing()
    assert pricing_of(millions(model="acme/bot", upstream_model=version), LISTED).price is None


@pytest.mark.parametrize("names", [("gpt", "other"), ("other", "gpt")])
def test_what_an_adapter_costs_does_not_depend_on_the_order_of_prices(names: tuple[str, str]) -> None:
    """`headgate check` lets no engine have two; a file of prices that has them is read alike all the same."""
    prices = {"gpt": PriceRow(*[Decimal(1)] * 4), "other": PriceRow(*[Decimal(2)] * 4)}
    costs = {price_name("p", "chat", name): prices[name] for name in names}
    of_adapter = millions(model="acme/bot", base_model="chat", upstream_model="acme/bot@3-9c56cc51")
    assert pricing_of(of_adapter, PriceList({}, costs=costs)).cost == prices["other"]


def test_an_adapter_is_settled_by_its_base_models_limits_and_shown_by_its_own_name() -> None:
    of_adapter = millions(model="acme/bot", base_model="chat", upstream_model="acme/bot@3-9c56cc51")
    end = end_of(of_adapter, "e1", lambda line: pricing_of(line, LISTED))
    assert end
    assert end.model == "chat"
    row = row_of(of_adapter, end.charge, read_ms=0, key=bytes(16))
    assert (row.model, row.upstream_model) == ("acme/bot", "acme/bot@3-9c56cc51")
