"""What is said of money in gateway.yaml, as requests are priced by it: dates, terms, what providers take."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from headgate.compile import compile_snapshot
from headgate.config.check import Checked
from headgate.prices import PriceList, PriceRow, TermsRow, read_prices, write_prices
from headgate.purses import price_name
from headgate.snapshot import Snapshot, prices_of

Checking = Callable[[str], Checked]

MARCH_MS = 1_772_323_200_000  # 2026-03-01, UTC

TEXT = """
providers:
  local: {api: openai, endpoints: ["http://127.0.0.1:8000"]}
  dear: {api: openai, base_url: "http://127.0.0.1:8001/v1"}
models:
  chat:
    strategy: cheapest
    price:
      - {input: 1, output: 2}
      - {from: 2026-03-01, input: 1.5, cached_input: 0.15, output: 3, reasoning: 4}
      - {from: "2026-04-01T02:00:00+02:00", input: 1.5, output: 2.5, request: 0.01}
    targets:
      - {provider: local, model: llama}
      - {provider: dear, model: gpt, price: [{input: 0.5, output: 1}, {from: 2026-03-01, input: 0.4, output: 0.9}]}
  other: {price: {input: 1, output: 2}, targets: [{provider: local, model: llama}]}
plans:
  small: {pricing: {markup: 12.5%, models: {other: {discount: 100%}}}}
  plain: {}
tenants:
  own: {plan: small, models: [chat, other], pricing: {discount: 10%}}
  planned:
    plan: small
    models: [chat, other]
    targets: {chat: [{provider: dear, model: gpt, price: {image: 0.04}}]}
  none: {plan: plain, models: [chat]}
"""


def snapshot(check_text: Checking) -> Snapshot:
    checked = check_text(TEXT)
    assert checked.gateway, checked.problems
    return compile_snapshot(checked.gateway, 1)


def usd(*amounts: str) -> list[Decimal]:
    return [Decimal(amount) for amount in amounts]


def test_each_price_holds_from_its_moment_on(check_text: Checking) -> None:
    row = snapshot(check_text).models["chat"].price
    assert row
    assert row.at(0) is row.at(MARCH_MS - 1) is row
    march = row.at(MARCH_MS)
    assert march == PriceRow(*usd("1.5", "0.15", "1.5", "3"), reasoning=Decimal(4), from_ms=MARCH_MS)
    april_ms = MARCH_MS + 31 * 86_400_000
    assert row.at(april_ms - 1) is march
    assert row.at(april_ms) == row.at(2**60)
    assert row.at(april_ms) == PriceRow(*usd("1.5", "1.5", "1.5", "2.5"), request=Decimal("0.01"), from_ms=april_ms)


def test_what_a_strategy_goes_by_changes_too(check_text: Checking) -> None:
    local, dear = snapshot(check_text).tenants["none"].models["chat"]
    assert (local.usd, dear.usd) == ((1.0, 2.0), (0.5, 1.0))
    assert [entry[1:] for entry in local.usd_later] == [(1.5, 3.0), (1.5, 2.5)]
    assert dear.usd_later == ((MARCH_MS, 0.4, 0.9),)


def test_terms_of_a_tenant_take_the_place_of_its_plans(check_text: Checking) -> None:
    found = snapshot(check_text)
    planned = TermsRow(Decimal("1.125"), {"other": Decimal(0)})
    assert {name: row.terms for name, row in found.tenants.items()} == {
        "own": TermsRow(Decimal("0.9")), "planned": planned, "none": None
    }  # fmt: skip
    assert (planned.of("chat"), planned.of("other")) == (Decimal("1.125"), Decimal(0))


def test_costs_are_what_targets_say(check_text: Checking) -> None:
    prices = prices_of(snapshot(check_text))
    assert list(prices.costs) == [price_name("dear", "chat", "gpt")]
    assert prices.cost_row("none", "local", "chat", "llama") is None
    everybody = prices.cost_row("none", "dear", "chat", "gpt")
    assert everybody
    assert everybody.at(MARCH_MS).output == Decimal("0.9")
    own = prices.cost_row("planned", "dear", "chat", "gpt")
    assert own == PriceRow(*usd("0", "0", "0", "0"), image=Decimal("0.04"))


def test_what_is_written_is_read_again(check_text: Checking, tmp_path: Path) -> None:
    prices = prices_of(snapshot(check_text))
    write_prices(prices, tmp_path / "prices", 3)
    assert read_prices(tmp_path / "prices" / "3.json") == prices


def test_a_list_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """As one was written before prices had dates, to the byte: with all keys of a row, and no others."""
    row = (
        b'{"input":"0.15","cached_input":"0.15","cache_write":"0.15","output":"0.60","request":null,'
        b'"image":"0.04","second":null,"character":null,"search":null}'
    )
    path = tmp_path / "7.json"
    path.write_bytes(b'{"models":{"chat":' + row + b'},"providers":{"dear\\nchat\\ngpt":' + row + b"}}")
    price = PriceRow(*usd("0.15", "0.15", "0.15", "0.60"), image=Decimal("0.04"))
    assert read_prices(path) == PriceList({"chat": price}, {"dear\nchat\ngpt": price})
    assert price.at(MARCH_MS) is price
    assert price.highest_output == Decimal("0.60")
    assert msgspec.json.decode(msgspec.json.encode(price), type=PriceRow) == price
