"""Money through a whole gateway: each tenant pays and reserves by its own terms and the price of the moment."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from quotas import Quotas, ask, asked, quotas, settled
from running_gateway import RunningGateway, running_gateway

from headgate.prices import read_prices
from headgate.purses import price_name

TOKENS = 20
LIMIT = 1000
FACTORS = {"listed": Decimal(1), "planned": Decimal("0.9"), "own": Decimal("1.25"), "single": Decimal("0.333333")}
PRICING: dict[str, dict[str, Any]] = {
    "planned": {"discount": "10%"},
    "own": {"discount": "10%"},
    "single": {"markup": "50%", "models": {"chat": {"discount": "66.6667%"}}},
}


@pytest.fixture(scope="module")
def setup(engine: Any) -> Quotas:
    """One plan each; the price has changed yesterday, and will change tomorrow."""
    plans = {
        name: {"monthly_usd": LIMIT, **({"pricing": PRICING[name]} if name in PRICING else {})} for name in FACTORS
    }
    found = quotas(engine, plans)
    found.config["tenants"]["own"]["pricing"] = {"markup": "25%"}
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    day = dt.timedelta(days=1)
    chat = found.config["models"]["chat"]
    chat["price"] = [
        {"input": 1, "output": 1},
        {"from": (now - day).isoformat(), "input": "1000", "output": "2000", "request": "0.5"},
        {"from": (now + day).isoformat(), "input": 0, "output": 0},
    ]
    chat["targets"] = [{**chat["targets"][0], "price": {"input": "0.05", "output": "0.10"}}]
    return found


@pytest.fixture(scope="module")
def gateway(setup: Quotas, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("prices"), setup.config, {}) as running:
        yield running


@pytest.mark.parametrize("tenant", FACTORS)
async def test_a_tenant_pays_and_reserves_at_its_own_terms(
    gateway: RunningGateway, setup: Quotas, tenant: str
) -> None:
    reply = ask(gateway, setup.keys[tenant], asked(tokens=TOKENS))
    assert reply.status_code == 200
    line = gateway.end_line(reply.headers["x-request-id"])
    paid = Decimal(line["prompt_tokens"] * 1000 + TOKENS * 2000) / 10**6 + Decimal("0.5")
    (row,) = (await settled(gateway, tenant)).values()
    assert Decimal(row["used"]) == paid * FACTORS[tenant]
    assert Decimal(line["price_factor"] or 1) == FACTORS[tenant]


async def test_where_the_price_leaves_no_room_a_request_is_refused(gateway: RunningGateway, setup: Quotas) -> None:
    """Terms decide: of what one tenant may still ask for, another one with the same limit has too little."""
    tokens = 420_000  # 840 USD at list price, 1,050 with a markup of a quarter
    body = {**asked(TOKENS), "n": 1, "max_tokens": tokens}
    granted = ask(gateway, setup.keys["listed"], body)
    lowered = ask(gateway, setup.keys["own"], body)
    assert (granted.status_code, lowered.status_code) == (200, 200)
    assert "x-headgate-max-tokens" not in granted.headers
    assert 390_000 < int(lowered.headers["x-headgate-max-tokens"]) < 400_000


def test_the_list_of_a_generation_has_all_that_decides(gateway: RunningGateway) -> None:
    (path,) = (gateway.state / "prices").glob("*.json")
    prices = read_prices(path)
    (target,) = [name for name in prices.costs if name.startswith("local\nchat\n")]
    assert target == price_name("local", "chat", target.rpartition("\n")[2])
    assert prices.costs[target].output == Decimal("0.10")
    assert len(prices.models["chat"].later) == 2
