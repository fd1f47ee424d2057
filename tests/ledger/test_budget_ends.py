"""Who is charged for a request that providers with budgets had a part in."""

from decimal import Decimal

import pytest

from headgate.prices import PriceRow
from headgate.purses import Purse, read, written
from ledger.pricing.pricing import Pricing
from ledger.settling.budget_ends import BudgetEnds
from ledger.settling.ends import entry_of
from ledger.spool.lines import Line
from ledger.tables import Tables

DIME = PriceRow(*[Decimal(100)] * 4)
PURSES = {("openai", None): Purse("openai"), ("pool", "first"): Purse("pool", "first")}
ENDS = BudgetEnds(lambda line: PURSES.get((line.target or "", line.provider_key)), lambda _: Pricing(DIME))
ANSWERED = {
    "type": "end",
    "request_id": "r1",
    "time": "2026-11-01T00:00:01.000Z",
    "duration_ms": 2000,
    "request_ms": 0,
    "tenant": "acme",
    "model": "chat",
    "status": 200,
    "attempts": 1,
    "prompt_tokens": 10,
    "completion_tokens": 5,
}


def charged(**more: object) -> dict[tuple[str, str], tuple[int, ...]]:
    line = Line(**{**ANSWERED, **more})  # type: ignore[arg-type]
    return {
        (end.tenant, end.key_id): (end.charge.requests, end.charge.input, end.charge.output, end.charge.usd_nano)
        for end in ENDS.of(line, "epoch", 7)
    }


def test_who_answers_is_charged_at_its_own_price() -> None:
    whole = (1, 10, 5, 1_500_000)
    assert charged(target="openai", budgets="openai") == {("provider/openai", ""): whole}
    assert charged(target="openai") == {("provider/openai", ""): whole}  # in another one's place
    assert charged(target="pool", provider_key="first", budgets="pool/first") == {("provider/pool", "first"): whole}


def test_who_was_asked_in_vain_had_a_request_and_who_was_not_asked_had_none() -> None:
    found = charged(target="spare", attempts=2, budgets="openai,pool/first")
    assert found == {("provider/openai", ""): (1, 0, 0, 0), ("provider/pool", "first"): (0, 0, 0, 0)}
    assert charged(target="openai", attempts=None, status=429, budgets="openai") == {
        ("provider/openai", ""): (0, 0, 0, 0)
    }


@pytest.mark.parametrize(
    "more", [{"target": "spare"}, {"type": "progress", "budgets": "openai"}, {"request_id": None}]
)
def test_other_lines_are_about_no_budget(more: dict[str, object]) -> None:
    assert charged(**more) == {}


def test_a_request_belongs_to_the_month_in_which_it_began_and_is_told_from_its_tenants() -> None:
    (end,) = ENDS.of(Line(**{**ANSWERED, "target": "pool", "provider_key": "first"}), "epoch", 7)  # type: ignore[arg-type]
    entry = entry_of(end, Tables().limits_of(end.tenant), None)
    assert entry.where.day == 20_757  # 2026-10-31
    assert entry.request_id == "provider/pool/r1/first"
    assert end.request_id == "r1/first"


def test_what_only_may_hold_something_is_charged_nothing() -> None:
    assert charged(target="spare", budgets=",openai") == {("provider/openai", ""): (0, 0, 0, 0)}


def test_names_in_the_spool() -> None:
    some = [Purse("openai"), Purse("pool", "first")]
    assert written(some[0], some) == "openai,pool/first"
    assert written(some[1], some) == "pool/first,openai"
    assert written(Purse("spare"), some) == written(None, some) == ",openai,pool/first"
    assert read(written(some[0], some)) == some
    assert read(written(None, some)) == [None, *some]
